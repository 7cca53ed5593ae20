import { type ReportRecord, digest } from "@healthval/client";
import { expect, test } from "vitest";
import { firstMisfit } from "../src/chain.ts";
import { type AuditEntry, holderOfLink } from "../src/hub.ts";
import { outcomeOf } from "../src/parts/outcome.tsx";
import { keysAt, readNumbers } from "../src/report.ts";
import { parts, to } from "../src/route.ts";
import { newest } from "../src/screens/models.tsx";

const NONE = "0".repeat(64);

async function chain(length: number): Promise<{ entries: AuditEntry[]; head: { number: number; sha256: string } }> {
  const entries: AuditEntry[] = [];
  let previous = NONE;
  for (let number = 1; number <= length; number++) {
    const entry = { number, at: number, actor: "hub", action: "made", subject: `s${number}`, previous };
    entries.push(entry);
    previous = await digest(entry);
  }
  return { entries, head: { number: length, sha256: previous } };
}

test("a whole audit chain fits; an entry changed, left out, added or cut off does not", async () => {
  const { entries, head } = await chain(4);
  expect(await firstMisfit({ entries, head })).toBeNull();
  expect(await firstMisfit({ entries: [], head: null })).toBeNull();
  const changed = entries.map((one) => (one.number === 2 ? { ...one, subject: "other" } : one));
  expect(await firstMisfit({ entries: changed, head })).toBe(3);
  expect(await firstMisfit({ entries: entries.filter((one) => one.number !== 2), head })).toBe(2);
  expect(await firstMisfit({ entries: [...entries, { ...entries[3]!, number: 5 }], head })).toBe(5);
  expect(await firstMisfit({ entries: entries.slice(0, 3), head })).toBe(3);
  const last = [...entries.slice(0, 3), { ...entries[3]!, actor: "other" }];
  expect(await firstMisfit({ entries: last, head })).toBe(4);
});

test("a key signs within its time only, for reports only, and never once it is revoked", () => {
  const key = { x: "k", purpose: "report", valid_from: "2026-01-01T00:00:00Z", valid_until: "2026-02-01T00:00:00Z" };
  const at = (time: string, more = {}): number => keysAt([{ ...key, ...more }], Date.parse(time)).length;
  expect(at("2025-12-31T23:59:59Z")).toBe(0);
  expect(at("2026-01-01T00:00:00Z")).toBe(1);
  expect(at("2026-02-01T00:00:00Z")).toBe(0);
  expect(at("2026-01-15T00:00:00Z", { purpose: "ledger" })).toBe(0);
  expect(at("2026-01-15T00:00:00Z", { revoked: "2026-03-01T00:00:00Z" })).toBe(0);
  expect(at("2026-05-01T00:00:00Z", { valid_until: null })).toBe(1);
  expect(at("no time")).toBe(0);
});

test("numbers of another format, and text that is not UTF-8, are refused", () => {
  const encoder = new TextEncoder();
  expect(readNumbers(encoder.encode('{"format":"healthval-metrics-1"}')).format).toBe("healthval-metrics-1");
  expect(() => readNumbers(encoder.encode('{"format":"healthval-metrics-2"}'))).toThrow("does not know the format");
  expect(() => readNumbers(new Uint8Array([0xff, 0xfe]))).toThrow();
});

test("a mean has the intervals of the report's first page", () => {
  const measure = { value: 0.8, ci: [0.75, 0.85], prediction: null };
  const means = { auroc: { ci: [0.7, 0.9], prediction: [0.6, 0.95] }, oe: { ci: null, prediction: null } };
  const text = JSON.stringify({ format: "healthval-metrics-1", derived: { means }, study: { auroc: measure, oe: measure } });
  const { study } = readNumbers(new TextEncoder().encode(text));
  expect(study.auroc).toEqual({ ...measure, ci: [0.7, 0.9], prediction: [0.6, 0.95] });
  expect(study.oe).toEqual(measure);
});

test("a link that is cut off is refused in words", () => {
  const token = `x.${btoa('{"sub":"site-abcdefgh"}')}.y`;
  expect(holderOfLink(token).id).toBe("site-abcdefgh");
  for (const bad of ["", "x", "x.%%%.y", `x.${btoa("no JSON")}.y`]) expect(() => holderOfLink(bad)).toThrow("incomplete");
});

test("an address of a screen survives every character, and a broken one is no error", () => {
  const names = ["model", "a/b#c %", "1.0"];
  expect(parts(to(...names))).toEqual(names);
  expect(parts("#/%")).toEqual([]);
});

function report(id: string, more: Partial<ReportRecord> = {}): ReportRecord {
  const none = { published: null, reason: null, superseded_by: null, sites: [], verdicts: [] };
  return { ...none, id, model: "m", version: "1", plan_hash: NONE, n_sites: 1, files: {}, status: "current", ...more };
}

test("the newest report is current, and its verdict is met only if every criterion is", () => {
  const early = report("a", { published: "2026-01-01T00:00:00Z" });
  const late = report("b", { published: "2026-02-01T00:00:00Z" });
  const withdrawn = report("c", { published: "2026-03-01T00:00:00Z", status: "withdrawn" });
  expect(newest([early, late, withdrawn])?.id).toBe("b");
  expect(newest([withdrawn])).toBeNull();
  const outcome = (...outcomes: ("met" | "not met" | "inconclusive")[]): string =>
    outcomeOf(report("d", { verdicts: outcomes.map((one) => ({ criterion: "c", outcome: one })) }));
  expect(outcome("met", "met")).toBe("met");
  expect(outcome("met", "inconclusive")).toBe("inconclusive");
  expect(outcome("inconclusive", "not met")).toBe("not met");
  expect([outcome(), outcomeOf(null)]).toEqual(["no criteria", "no report"]);
});
