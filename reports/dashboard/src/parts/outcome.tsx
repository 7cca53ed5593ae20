/** A verdict as text with a mark; colour is never its only carrier. */

import type { ReportRecord } from "@healthval/client";
import type { ReactNode } from "react";

const MARKS: Readonly<Record<string, string>> = { met: "✓", "not met": "✗", inconclusive: "?" };

export function Outcome({ text }: { readonly text: string }): ReactNode {
  return (
    <span className={`outcome ${text.replaceAll(" ", "-")}`}>
      <span aria-hidden="true">{MARKS[text] ?? ""}</span> {text}
    </span>
  );
}

/** Verdict over all criteria: met if all are, not met if one is not, else inconclusive. */
export function outcomeOf(report: ReportRecord | null): string {
  if (!report) return "no report";
  const outcomes = (report.verdicts ?? []).map((verdict) => verdict.outcome);
  if (outcomes.length === 0) return "no criteria";
  if (outcomes.includes("not met")) return "not met";
  return outcomes.every((outcome) => outcome === "met") ? "met" : "inconclusive";
}
