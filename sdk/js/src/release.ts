/**
 * The released result of one site: its contract, and the checks before it is sent.
 *
 * A release is made by the disclosure gate of the Python package, which runs its attacks on it. This
 * module makes none and changes none: it reads one, refuses what no gate would have released, and
 * sends the same bytes.
 */

import type { Submission } from "./api.js";
import { SubmissionError, UsageError, counted } from "./errors.js";
import { read } from "./shape.js";

/** Word in place of a count that is withheld. */
export const SUPPRESSED = "suppressed";

/** Names of fields whose counts are counts of cases. */
const CELLS = new Set([
  "n", "n_events", "n_indeterminate", "n_missing_reference", "tp", "fp", "fn", "tn", "observed",
  "events", "non_events", "overall",
]);

/**
 * Return the released form of a count: the count, or "suppressed" where it is small.
 *
 * @param minimum - smallest count that may be shown; 0 is always shown
 */
export function releasedCount(count: number, minimum: number): number | typeof SUPPRESSED {
  if (!Number.isInteger(count) || count < 0) throw new UsageError("a count is a whole number from 0 on");
  return count === 0 || count >= minimum ? count : SUPPRESSED;
}

/**
 * Round to a number of decimals as the gate does: the decimal nearest to the exact binary value, and
 * of two equally near ones the even one.
 */
export function rounded(value: number, decimals: number): number {
  if (!Number.isFinite(value)) throw new UsageError("only a finite number can be rounded");
  const [down, up] = neighbours(value, decimals);
  return (up ?? down) + 0;
}

function neighbours(value: number, decimals: number): [number, number?] {
  const nearest = Number(value.toFixed(decimals));
  const exact = value.toFixed(Math.min(100, decimals + 30));
  const isTie = exact.replace("-", "").slice(exact.replace("-", "").indexOf(".") + 1 + decimals).match(/^50*$/) !== null;
  if (!isTie) return [nearest];
  const text = Math.abs(nearest).toFixed(decimals);
  const isEven = Number(text.at(-1)) % 2 === 0;
  if (isEven) return [nearest];
  const step = 10 ** -decimals;
  return [Number((nearest - Math.sign(value) * step).toFixed(decimals))];
}

/**
 * Read a release and refuse one that does not fit its contract or shows a small count.
 *
 * @throws SubmissionError naming the place; no value is quoted
 */
export function checkRelease(payload: Uint8Array): Submission {
  const release = read<Submission>("Submission", payload, SubmissionError);
  if (release.noise) return release; // its counts are not counts of cases: each carries keyed noise
  const minimum = release.certificate.minimum_cell;
  const small = smallCells(release, minimum, "");
  if (small.length > 0) {
    throw new SubmissionError(
      `${counted(small.length, "count")} below the minimum cell of the release's own certificate ` +
        `(first at '${small[0]}'); make the release again with healthval`,
    );
  }
  return release;
}

function smallCells(value: unknown, minimum: number, place: string): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, held]) => {
    const at = place ? `${place}.${name}` : name;
    const isSmall = CELLS.has(name) && typeof held === "number" && held > 0 && held < minimum;
    return isSmall ? [at] : smallCells(held, minimum, at);
  });
}
