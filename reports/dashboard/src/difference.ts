/** Difference of two pooled measures, with its interval from the two intervals. */

import type { Measure } from "./report.ts";

export interface Difference {
  readonly value: number;
  /** Interval if the two results are independent. */
  readonly independent: readonly [number, number];
  /** Interval that holds whatever the dependence of the two results. */
  readonly widest: readonly [number, number];
}

/**
 * Return b - a; null where a result or an interval is missing.
 *
 * @remarks Zou and Donner 2008 (Statistics in Medicine 27:1693, MOVER), with correlation 0 and -1.
 */
export function difference(a: Measure, b: Measure): Difference | null {
  if (a.value === null || b.value === null || !a.ci || !b.ci) return null;
  const value = b.value - a.value;
  const low = [b.value - b.ci[0], a.ci[1] - a.value] as const;
  const high = [b.ci[1] - b.value, a.value - a.ci[0]] as const;
  return {
    value,
    independent: [value - Math.hypot(...low), value + Math.hypot(...high)],
    widest: [value - low[0] - low[1], value + high[0] + high[1]],
  };
}
