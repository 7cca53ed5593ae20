import { expect, test } from "vitest";
import { csv } from "../src/csv.ts";
import { idle, inferences } from "../src/costs.ts";
import { difference } from "../src/difference.ts";
import { counted, dollars, interval, moment, number, total } from "../src/format.ts";
import type { Measure } from "../src/report.ts";

const measure = (value: number | null, ci: readonly [number, number] | null): Measure => ({
  value,
  ci,
  prediction: null,
  k: 3,
  reason: null,
  sites: [],
  excluded: [],
});

test("the interval of a difference is Newcombe's for two proportions", () => {
  // Newcombe 1998 (Statistics in Medicine 17:873), table II, 56/70 and 48/80 by method 10, from Wilson's intervals
  const found = difference(measure(0.6, [0.490_46, 0.700_28]), measure(0.8, [0.691_81, 0.876_94]))!;
  expect(found.value).toBeCloseTo(0.2, 12);
  expect(found.independent[0]).toBeCloseTo(0.0524, 3);
  expect(found.independent[1]).toBeCloseTo(0.3339, 3);
  expect(found.widest[0]).toBeCloseTo(0.691_81 - 0.700_28, 12);
  expect(found.widest[1]).toBeCloseTo(0.876_94 - 0.490_46, 12);
});

test("a difference needs two results with intervals", () => {
  const whole = measure(0.8, [0.7, 0.9]);
  expect(difference(measure(null, null), whole)).toBeNull();
  expect(difference(whole, measure(0.8, null))).toBeNull();
});

test("a spreadsheet reads no cell as a formula, and quotes survive", () => {
  const text = csv(["a,b", "c"], [["=1+1", 'say "x"'], ["-2", -2], ["@x\n", null]]);
  expect(text).toBe(`"a,b",c\r\n'=1+1,"say ""x"""\r\n'-2,-2\r\n"'@x\n",\r\n`);
});

test("numbers have their digits, and what is missing is an en dash", () => {
  expect([number(0.123_456), number(3, 0), number(1234, 0), number(null), number("suppressed")]).toEqual([
    "0.123",
    "3",
    "1,234",
    "–",
    "withheld",
  ]);
  expect(interval([0.1, 0.25], 2)).toBe("0.10 to 0.25");
  expect(interval(null)).toBe("–");
  expect([counted(1, "hospital"), counted(0, "hospital"), counted(4000, "hospital")]).toEqual([
    "1 hospital",
    "0 hospitals",
    "4,000 hospitals",
  ]);
});

test("a total with a withheld count shows its bounds", () => {
  expect(total({ lower: 5, upper: 5 })).toBe("5");
  expect(total({ lower: 5, upper: 15 })).toBe("5 to 15");
  expect(total({ lower: 5, upper: null })).toBe("at least 5");
});

test("moments are in UTC, from text and from seconds", () => {
  expect(moment("2026-03-01T01:30:00+02:00")).toBe("2026-02-28 23:30 UTC");
  expect(moment(0)).toBe("1970-01-01 00:00 UTC");
  expect([moment("no time"), moment(null)]).toEqual(["–", "–"]);
});

test("costs grow with each input and keep two digits where they are small", () => {
  const lines = idle();
  expect(lines.reduce((sum, [, usd]) => sum + usd, 0)).toBeLessThan(0.5);
  expect(inferences(2000, 1024, 0.05, 0.01)).toBeCloseTo(2 * inferences(1000, 1024, 0.05, 0.01), 12);
  expect(inferences(1, 1, 1, 1)).toBe(inferences(1, 1024, 1, 1));
  expect([dollars(0), dollars(0.001_234), dollars(12.345)]).toEqual(["$0.00", "$0.0012", "$12.35"]);
});
