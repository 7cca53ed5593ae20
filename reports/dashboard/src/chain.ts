/** Check of the audit chain in this page. */

import { digest } from "@healthval/client";
import type { AuditChain } from "./hub.ts";

/** Return the number of the first entry that does not fit, or null if the whole chain does. */
export async function firstMisfit({ entries, head }: AuditChain): Promise<number | null> {
  let previous = "0".repeat(64);
  for (const [index, entry] of entries.entries()) {
    if (entry.number !== index + 1 || entry.previous !== previous) return index + 1;
    previous = await digest(entry);
  }
  const ends = head === null ? entries.length === 0 : head.number === entries.length && head.sha256 === previous;
  return ends ? null : entries.length;
}
