/** Numbers and times as text. */

import type { Interval, Total } from "./report.ts";

/** Two or three decimals; an en dash where there is no value. */
export function number(value: number | string | null | undefined, digits = 3): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value === "suppressed" ? "withheld" : value;
  return Number.isInteger(value) && digits === 0 ? value.toLocaleString("en") : value.toFixed(digits);
}

export function interval(ci: Interval | undefined, digits = 3): string {
  return ci ? `${number(ci[0], digits)} to ${number(ci[1], digits)}` : "–";
}

export function total(sum: Total): string {
  if (sum.upper === null) return `at least ${sum.lower.toLocaleString("en")}`;
  const isExact = sum.lower === sum.upper;
  return isExact ? sum.lower.toLocaleString("en") : `${sum.lower.toLocaleString("en")} to ${sum.upper.toLocaleString("en")}`;
}

export function counted(n: number, noun: string): string {
  return `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
}

/** Date and time in UTC, to the minute. */
export function moment(text: string | number | null | undefined): string {
  if (text === null || text === undefined) return "–";
  const at = typeof text === "number" ? new Date(text * 1000) : new Date(text);
  return Number.isNaN(at.getTime()) ? "–" : `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

export function dollars(usd: number): string {
  return `$${usd < 0.01 && usd > 0 ? usd.toPrecision(2) : usd.toFixed(2)}`;
}
