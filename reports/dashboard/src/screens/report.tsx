/** One report: its signature, verdicts, forest plots, ROC, calibration, subgroups and files. */

import type { ReportRecord } from "@healthval/client";
import type { ReactNode } from "react";
import { download } from "../csv.ts";
import { counted, interval, moment, number, total } from "../format.ts";
import type { Hub } from "../hub.ts";
import { Forest } from "../parts/forest.tsx";
import { Empty, Load } from "../parts/load.tsx";
import { Outcome } from "../parts/outcome.tsx";
import { Calibration, Roc } from "../parts/plots.tsx";
import { Table } from "../parts/table.tsx";
import { type Numbers, type Subgroup, type Verified, verified } from "../report.ts";
import { to } from "../route.ts";

export function Report({ hub, id }: { readonly hub: Hub; readonly id: string }): ReactNode {
  const load = async (): Promise<ReportRecord | undefined> => (await hub.reports()).find((report) => report.id === id);
  return (
    <>
      <h1>Report {id}</h1>
      <Load load={load} id={`report ${id}`} what="the report">
        {(report) => (report ? <One hub={hub} report={report} /> : <Empty>There is no such report, or it is not open to this key.</Empty>)}
      </Load>
    </>
  );
}

function One({ hub, report }: { readonly hub: Hub; readonly report: ReportRecord }): ReactNode {
  return (
    <>
      <p>
        On <a href={to("model", report.model, report.version)}>{report.model} {report.version}</a>, published {moment(report.published)}.
      </p>
      {report.status !== "current" && (
        <p role="alert" className="state failed">
          This report was {report.status}
          {report.reason ? `: ${report.reason}` : ""}.
          {report.superseded_by && <> <a href={to("report", report.superseded_by)}>Open the report that replaced it</a>.</>}
        </p>
      )}
      <Results hub={hub} report={report} />
    </>
  );
}

/** Results of a report; none is shown before its signature is verified. */
export function Results({ hub, report }: { readonly hub: Hub; readonly report: ReportRecord }): ReactNode {
  return (
    <Load load={() => verified(hub, report)} id={`results ${report.id}`} what="and verifying the report">
      {(found) => (
        <>
          <Signature report={report} found={found} />
          <Shown numbers={found.numbers} />
        </>
      )}
    </Load>
  );
}

function Signature({ report, found }: { readonly report: ReportRecord; readonly found: Verified }): ReactNode {
  const { statement, files } = found;
  return (
    <section className="signature">
      <h2>Signed report</h2>
      <p role="status">
        <strong>✓ Signature verified in this page.</strong> Signed {moment(String(statement.about["signed_at"]))} with a key
        that this hub publishes, fingerprint <code>{statement.fingerprint}</code>. Compare it with the fingerprint that the operator gave you
        through a different channel.
      </p>
      <ul>
        {Object.entries(files).map(([name, data]) => (
          <li key={name}>
            <button onClick={() => download(`${report.id}-${name}`, data as BlobPart, "application/octet-stream")}>Download {name}</button>{" "}
            {data.length.toLocaleString("en")} bytes, as signed
          </li>
        ))}
      </ul>
    </section>
  );
}

function Shown({ numbers }: { readonly numbers: Numbers }): ReactNode {
  const { study, verdicts, plan } = numbers;
  return (
    <>
      <h2>{plan.title}</h2>
      <p>
        {counted(study.k, "hospital")}, {total(study.n)} cases, {total(study.n_events)} with the condition ({plan.target_condition}).
      </p>
      <h3>Verdicts</h3>
      {verdicts.length === 0 ? (
        <Empty>The plan has no acceptance criteria.</Empty>
      ) : (
        <Table
          caption="Verdict on each criterion of the plan"
          file="verdicts"
          rows={verdicts}
          id={(one) => one.criterion}
          columns={[
            { name: "Criterion", value: (one) => one.criterion, wide: true },
            { name: "Target", value: (one) => one.target },
            { name: "Result", value: (one) => one.result?.value, show: (one) => number(one.result?.value), isNumber: true },
            { name: "95% CI", value: (one) => resultInterval(one.result) },
            { name: "Verdict", value: (one) => one.outcome, show: (one) => <Outcome text={one.outcome} /> },
            { name: "Reason", value: (one) => one.reason ?? "", wide: true },
          ]}
        />
      )}
      <h2>Hospitals</h2>
      <Forest measure={study.auroc} name="AUROC" file="auroc" />
      <Forest measure={study.oe} name="O:E ratio" file="oe" isRatio />
      <Forest measure={study.slope} name="Calibration slope" file="slope" />
      <h2>Discrimination and calibration</h2>
      <div className="figures">
        {study.display && study.display.curve.length > 0 && <Roc points={study.display.curve} auc={study.display.auc} bound={study.display.bound} />}
        {study.display && study.display.bins.length > 0 && <Calibration bins={study.display.bins} />}
      </div>
      {!study.display && <Empty>No hospital released its score distribution.</Empty>}
      {study.display?.reason && <Empty>Score distribution not pooled: {study.display.reason}.</Empty>}
      <h2>Subgroups</h2>
      <Subgroups subgroups={study.subgroups} />
    </>
  );
}

function resultInterval(result: { lo: number | null; hi: number | null } | null): string {
  return result && result.lo !== null && result.hi !== null ? interval([result.lo, result.hi]) : "–";
}

function Subgroups({ subgroups }: { readonly subgroups: readonly Subgroup[] }): ReactNode {
  if (subgroups.length === 0) return <Empty>The plan has no subgroups.</Empty>;
  return (
    <Table
      caption="Results by subgroup"
      file="subgroups"
      rows={subgroups}
      id={(one) => `${one.variable} ${one.level}`}
      columns={[
        { name: "Variable", value: (one) => one.variable },
        { name: "Level", value: (one) => one.level },
        { name: "Cases", value: (one) => total(one.n), isNumber: true },
        { name: "With condition", value: (one) => total(one.n_events), isNumber: true },
        { name: "AUROC", value: (one) => one.auroc.value, show: (one) => number(one.auroc.value), isNumber: true },
        { name: "AUROC, 95% CI", value: (one) => (one.auroc.value === null ? (one.auroc.reason ?? "") : interval(one.auroc.ci)) },
        { name: "O:E", value: (one) => one.oe.value, show: (one) => number(one.oe.value), isNumber: true },
        { name: "O:E, 95% CI", value: (one) => (one.oe.value === null ? (one.oe.reason ?? "") : interval(one.oe.ci)) },
      ]}
    />
  );
}
