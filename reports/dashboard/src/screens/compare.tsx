/** Two reports side by side, with intervals of the difference. */

import type { ReportRecord } from "@healthval/client";
import { type ReactNode, useState } from "react";
import { difference } from "../difference.ts";
import { interval, number } from "../format.ts";
import type { Hub } from "../hub.ts";
import { Empty, Load } from "../parts/load.tsx";
import { Table } from "../parts/table.tsx";
import { type Measure, type Numbers, verified } from "../report.ts";

const MEASURES = [
  ["auroc", "AUROC"],
  ["oe", "O:E ratio"],
  ["slope", "Calibration slope"],
  ["citl", "Calibration in the large"],
] as const;

export function Compare({ hub }: { readonly hub: Hub }): ReactNode {
  return (
    <>
      <h1>Compare two versions</h1>
      <Load load={() => oldestFirst(hub)} id="compare" what="reports">
        {(reports) =>
          reports.length < 2 ? (
            <Empty>A comparison needs two current reports; this key opens {reports.length === 1 ? "one" : "none"}.</Empty>
          ) : (
            <Choose hub={hub} reports={reports} />
          )
        }
      </Load>
    </>
  );
}

async function oldestFirst(hub: Hub): Promise<readonly ReportRecord[]> {
  const current = (await hub.reports()).filter((report) => report.status === "current");
  return [...current].sort((a, b) => String(a.published).localeCompare(String(b.published)));
}

/** Return the newest report and the one before it, of the same model where there is one. */
function lastTwo(reports: readonly ReportRecord[]): readonly [string, string] {
  const newest = reports.at(-1)!;
  const others = reports.slice(0, -1);
  const before = others.findLast((report) => report.model === newest.model) ?? others.at(-1)!;
  return [before.id, newest.id];
}

function Choose({ hub, reports }: { readonly hub: Hub; readonly reports: readonly ReportRecord[] }): ReactNode {
  const [chosen, setChosen] = useState<readonly [string, string]>(() => lastTwo(reports));
  const [a, b] = chosen.map((id) => reports.find((report) => report.id === id)!);
  const select = (name: string, index: 0 | 1): ReactNode => (
    <label>
      {name}{" "}
      <select value={chosen[index]} onChange={(event) => setChosen(index === 0 ? [event.target.value, chosen[1]] : [chosen[0], event.target.value])}>
        {reports.map((report) => (
          <option key={report.id} value={report.id}>
            {report.model} {report.version} ({report.id.slice(7, 15)})
          </option>
        ))}
      </select>
    </label>
  );
  const both = (): Promise<readonly Numbers[]> => Promise.all([a!, b!].map(async (report) => (await verified(hub, report)).numbers));
  return (
    <>
      <div className="tools">
        {select("First", 0)} {select("Second", 1)}
      </div>
      <Load load={both} id={chosen.join(" ")} what="and verifying both reports">
        {([first, second]) => <Differences a={first!} b={second!} names={[label(a!), label(b!)]} />}
      </Load>
    </>
  );
}

function label(report: ReportRecord): string {
  return `${report.model} ${report.version}`;
}

function Differences({ a, b, names }: { readonly a: Numbers; readonly b: Numbers; readonly names: readonly [string, string] }): ReactNode {
  const rows = MEASURES.map(([key, name]) => ({ name, a: a.study[key], b: b.study[key], d: difference(a.study[key], b.study[key]) }));
  const shown = (measure: Measure): string => (measure.value === null ? "not pooled" : `${number(measure.value)} (${interval(measure.ci)})`);
  return (
    <>
      {a.plan.plan_hash !== b.plan.plan_hash && (
        <p className="state">The two reports have different plans: hospitals, cases or definitions may differ, not only the model.</p>
      )}
      <Table
        caption={`Second (${names[1]}) minus first (${names[0]})`}
        file="comparison"
        rows={rows}
        id={(row) => row.name}
        columns={[
          { name: "Measure", value: (row) => row.name },
          { name: "First, 95% CI", value: (row) => shown(row.a) },
          { name: "Second, 95% CI", value: (row) => shown(row.b) },
          { name: "Difference", value: (row) => row.d?.value, show: (row) => number(row.d?.value), isNumber: true },
          { name: "95% CI, independent results", value: (row) => interval(row.d?.independent) },
          { name: "Widest 95% CI", value: (row) => interval(row.d?.widest) },
        ]}
      />
      <p className="small">
        The reports contain no covariance of the two results. The first interval assumes that they are independent (different patients); on the
        same patients it is usually too wide. The second holds whatever the dependence (Zou and Donner 2008).
      </p>
    </>
  );
}
