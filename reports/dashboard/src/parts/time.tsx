/** A moment in UTC that stays on one line. */

import type { ReactNode } from "react";
import { moment } from "../format.ts";

export function Time({ at }: { readonly at: string | number | null | undefined }): ReactNode {
  return <span className="time">{moment(at)}</span>;
}
