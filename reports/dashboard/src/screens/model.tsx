/** One model version: its card, its reports over time, and the results of the newest. */

import type { ReportRecord } from "@healthval/client";
import type { ReactNode } from "react";
import type { Hub } from "../hub.ts";
import { Empty, Load } from "../parts/load.tsx";
import { Outcome, outcomeOf } from "../parts/outcome.tsx";
import { Table } from "../parts/table.tsx";
import { Time } from "../parts/time.tsx";
import { to } from "../route.ts";
import { newest } from "./models.tsx";
import { Results } from "./report.tsx";

interface Props {
  readonly hub: Hub;
  readonly name: string;
  readonly version: string;
}

export function Model({ hub, name, version }: Props): ReactNode {
  const load = async (): Promise<readonly ReportRecord[]> =>
    (await hub.reports())
      .filter((report) => report.model === name && report.version === version)
      .sort((a, b) => String(b.published).localeCompare(String(a.published)));
  return (
    <>
      <h1>
        {name} {version}
      </h1>
      <Load load={() => card(hub, name, version)} id={`card ${name} ${version}`} what="the model card">
        {(facts) => (
          <details open={facts.length > 0}>
            <summary>Model card</summary>
            {facts.length === 0 && <p>{hub.isLink ? "The card is part of the signed report." : "The card is not open to this key."}</p>}
            <dl>
              {facts.map(([term, text]) => (
                <div key={term}>
                  <dt>{term}</dt>
                  <dd>{text}</dd>
                </div>
              ))}
            </dl>
          </details>
        )}
      </Load>
      {!hub.canReadReports ? (
        <Empty>An auditor's key does not open reports.</Empty>
      ) : (
        <Load load={load} id={`reports ${name} ${version}`} what="reports">
          {(reports) => <Reports hub={hub} reports={reports} />}
        </Load>
      )}
    </>
  );
}

async function card(hub: Hub, name: string, version: string): Promise<readonly (readonly [string, string])[]> {
  const { models } = await hub.models();
  const found = models.find(({ registration }) => registration.card.name === name && registration.card.version === version);
  if (!found) return [];
  const { card: about } = found.registration;
  return [
    ["Title", about.title],
    ["Developer", about.developer],
    ["Intended use", about.intended_use],
    ["Target condition", about.target_condition],
    ["Endpoint", found.status],
  ];
}

function Reports({ hub, reports }: { readonly hub: Hub; readonly reports: readonly ReportRecord[] }): ReactNode {
  const shown = newest(reports);
  if (reports.length === 0) {
    return <Empty>No report on this version is open to this key. The operator publishes one after hospitals have submitted.</Empty>;
  }
  return (
    <>
      <h2>Verdicts over time</h2>
      <Table
        caption="Reports on this version, newest first"
        file="reports"
        rows={reports}
        id={(report) => report.id}
        columns={[
          { name: "Report", value: (report) => report.id, show: (report) => <a href={to("report", report.id)}>{report.id}</a> },
          { name: "Published", value: (report) => report.published, show: (report) => <Time at={report.published} /> },
          { name: "Status", value: (report) => report.status ?? "current" },
          { name: "Verdict", value: outcomeOf, show: (report) => <Outcome text={outcomeOf(report)} /> },
          { name: "Hospitals", value: (report) => report.n_sites, isNumber: true },
          { name: "Plan", value: (report) => report.plan_hash, show: (report) => <code>{report.plan_hash.slice(0, 12)}</code> },
          { name: "Reason", value: (report) => report.reason ?? "", wide: true },
        ]}
      />
      {shown ? <Results hub={hub} report={shown} /> : <Empty>Every report on this version was superseded or withdrawn.</Empty>}
    </>
  );
}
