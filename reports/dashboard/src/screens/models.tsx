/** Models and their versions, with the newest verdicts. */

import type { ReportRecord } from "@healthval/client";
import type { ReactNode } from "react";
import type { Hub } from "../hub.ts";
import { Empty, Load } from "../parts/load.tsx";
import { Outcome, outcomeOf } from "../parts/outcome.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Time } from "../parts/time.tsx";
import { to } from "../route.ts";

/** One model version: its card where the caller may read it, and its reports. */
export interface Version {
  readonly name: string;
  readonly version: string;
  readonly title: string;
  readonly status: string;
  readonly current: ReportRecord | null;
  readonly nReports: number;
}

/** Load the model versions that the caller may see. */
export async function versions(hub: Hub): Promise<readonly Version[]> {
  const [{ models, others }, reports] = await Promise.all([hub.models(), hub.reports()]);
  const by = new Map<string, ReportRecord[]>();
  for (const report of reports) {
    const key = `${report.model}#${report.version}`;
    by.set(key, [...(by.get(key) ?? []), report]);
  }
  const known = models.map(({ registration: { card }, status }) => ({ ...card, status }));
  const rest = hub.role === "vendor" ? [] : others.map((one) => ({ ...one, title: "", status: "" }));
  const listed = new Set([...known, ...rest].map(({ name, version }) => `${name}#${version}`));
  const reported = [...by.keys()]
    .filter((key) => !listed.has(key))
    .map((key) => ({ name: key.split("#")[0]!, version: key.split("#")[1]!, title: "", status: "" }));
  return [...known, ...rest, ...reported].map(({ name, version, title, status }) => {
    const own = by.get(`${name}#${version}`) ?? [];
    return { name, version, title, status, current: newest(own), nReports: own.length };
  });
}

/** Return the newest report that is neither superseded nor withdrawn. */
export function newest(reports: readonly ReportRecord[]): ReportRecord | null {
  const current = reports.filter((report) => report.status === "current");
  return [...current].sort((a, b) => String(b.published).localeCompare(String(a.published)))[0] ?? null;
}

/** Columns from the models' records, which a link does not read. */
const FROM_CARDS: readonly Column<Version>[] = [
  { name: "Title", value: (one) => one.title, wide: true },
  { name: "Endpoint", value: (one) => one.status },
];

export function Models({ hub }: { readonly hub: Hub }): ReactNode {
  return (
    <>
      <h1>Models</h1>
      <Load load={() => versions(hub)} id="models" what="models">
        {(found) =>
          found.length === 0 ? (
            <Empty>No model is open to this key. The operator registers models and names those of a vendor.</Empty>
          ) : (
            <Table
              caption="Model versions"
              file="models"
              rows={found}
              id={(one) => `${one.name}#${one.version}`}
              columns={[
                { name: "Model", value: (one) => one.name, show: (one) => <a href={to("model", one.name, one.version)} aria-label={`${one.name} ${one.version}`}>{one.name}</a> },
                { name: "Version", value: (one) => one.version },
                ...(hub.isLink ? [] : FROM_CARDS),
                { name: "Verdict", value: (one) => outcomeOf(one.current), show: (one) => <Outcome text={outcomeOf(one.current)} /> },
                { name: "Hospitals", value: (one) => one.current?.n_sites, isNumber: true },
                { name: "Reports", value: (one) => one.nReports, isNumber: true },
                { name: "Published", value: (one) => one.current?.published, show: (one) => <Time at={one.current?.published} /> },
              ]}
            />
          )
        }
      </Load>
    </>
  );
}
