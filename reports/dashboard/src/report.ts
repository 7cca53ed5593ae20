/** A report's results, shown only after its signature was verified in this page. */

import type { ReportRecord } from "@healthval/client";
import { ATTESTATION, IntegrityError, type Statement, readStatement, verifyReport } from "@healthval/client";
import type { Hub, PublishedKey } from "./hub.ts";

export type Interval = readonly [number, number] | null;

export interface SiteEstimate {
  readonly site: string;
  readonly value: number | null;
  readonly lo: number | null;
  readonly hi: number | null;
  readonly n: number | string | null;
  readonly n_events: number | string | null;
  readonly weight: number | null;
}

/** One measure, pooled over hospitals. */
export interface Measure {
  readonly value: number | null;
  readonly ci: Interval;
  readonly prediction: Interval;
  readonly k: number;
  readonly reason: string | null;
  readonly sites: readonly SiteEstimate[];
  readonly excluded: readonly { readonly site: string; readonly reason: string }[];
}

/** A total over hospitals; the bounds differ where a hospital withheld its count. */
export interface Total {
  readonly lower: number;
  readonly upper: number | null;
}

export interface Subgroup {
  readonly variable: string;
  readonly level: string;
  readonly n: Total;
  readonly n_events: Total;
  readonly auroc: Measure;
  readonly oe: Measure;
}

export interface Verdict {
  readonly criterion: string;
  readonly target: string;
  readonly outcome: string;
  readonly reason: string | null;
  readonly basis: string | null;
  readonly result: { readonly value: number | null; readonly lo: number | null; readonly hi: number | null } | null;
}

export interface Hospital {
  readonly label: string;
  readonly status: string;
  readonly sent: boolean;
  readonly reason: string | null;
  readonly inputs: number;
}

/** The part of ``metrics.json`` that this page shows. */
interface Ends {
  readonly ci: Interval;
  readonly prediction: Interval;
}

export interface Numbers {
  readonly format: string;
  readonly plan: { readonly title: string; readonly plan_hash: string; readonly target_condition: string };
  readonly conduct: { readonly hospitals: readonly Hospital[] } | null;
  readonly verdicts: readonly Verdict[];
  readonly derived?: { readonly means: Readonly<Record<string, Ends>> };
  readonly study: {
    readonly k: number;
    readonly n: Total;
    readonly n_events: Total;
    readonly auroc: Measure;
    readonly oe: Measure;
    readonly slope: Measure;
    readonly citl: Measure;
    readonly display: {
      readonly auc: number | null;
      readonly bound: number | null;
      readonly curve: readonly CurvePoint[];
      readonly bins: readonly Bin[];
      readonly reason: string | null;
    } | null;
    readonly subgroups: readonly Subgroup[];
  };
}

export interface CurvePoint {
  readonly fpr: number;
  readonly tpr: number;
  readonly fpr_bounds: readonly [number, number];
  readonly tpr_bounds: readonly [number, number];
  readonly threshold: number | null;
}

export interface Bin {
  readonly low: number;
  readonly high: number;
  readonly n: number;
  readonly events: number;
  readonly mean_score: number | null;
  readonly observed: number | null;
  readonly ci: Interval;
}

/** A report whose signature is valid, with the files that it covers. */
export interface Verified {
  readonly statement: Statement;
  readonly files: Readonly<Record<string, Uint8Array>>;
  readonly numbers: Numbers;
}

/** Keys that may have signed a report at a moment; a revoked key never may. */
export function keysAt(keys: readonly PublishedKey[], moment: number): PublishedKey[] {
  return keys.filter((key) => {
    const hasEnded = key.valid_until != null && moment >= Date.parse(key.valid_until);
    return key.purpose === "report" && key.revoked == null && Date.parse(key.valid_from) <= moment && !hasEnded;
  });
}

/**
 * Fetch a report and verify it against the keys that the hub publishes.
 *
 * @throws IntegrityError if a file is missing, differs, or is signed by no key valid at that time
 */
export async function verified(hub: Hub, report: ReportRecord): Promise<Verified> {
  const published = await hub.publishedKeys();
  const names = ["metrics.json", ...(report.files["report.html"] ? ["report.html"] : [])];
  for (const name of [ATTESTATION, "metrics.json"]) {
    if (!report.files[name]) throw new IntegrityError(`the report has no ${name}`);
  }
  const envelope = await hub.reportFile(report, ATTESTATION);
  const files: Record<string, Uint8Array> = {};
  for (const name of names) files[name] = await hub.reportFile(report, name);
  const keys = published.map(({ x }) => ({ kty: "OKP", crv: "Ed25519", x }) as const);
  const statement = await readStatement(envelope, keys);
  const signed = Date.parse(String(statement.about["signed_at"]));
  const valid = keysAt(published, signed).map(({ x }) => ({ kty: "OKP", crv: "Ed25519", x }) as const);
  await verifyReport(envelope, files, valid);
  checkSubject(statement, report);
  return { statement, files, numbers: readNumbers(files["metrics.json"]!) };
}

/** Refuse a signed report that is about another model, version or plan than its entry in the list. */
function checkSubject(statement: Statement, report: ReportRecord): void {
  for (const name of ["model", "version", "plan_hash"] as const) {
    if (statement.about[name] !== report[name]) {
      throw new IntegrityError("the signed report is about another model, version or plan than the hub lists");
    }
  }
}

const JUDGED = ["auroc", "oe", "slope", "citl"] as const;

/** Read the results of a report; each mean has the intervals of the report's first page. */
export function readNumbers(data: Uint8Array): Numbers {
  const numbers = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data)) as Numbers;
  if (numbers.format !== "healthval-metrics-1") {
    throw new IntegrityError("this page does not know the format of metrics.json; open the report itself");
  }
  const judged = JUDGED.flatMap((name) => {
    const [mean, measure] = [numbers.derived?.means[name], numbers.study?.[name]];
    return mean?.ci && measure ? [[name, { ...measure, ci: mean.ci, prediction: mean.prediction }] as const] : [];
  });
  return { ...numbers, study: { ...numbers.study, ...Object.fromEntries(judged) } };
}
