/** Study record: for each model version and plan, which hospitals requested access and which sent a result. */

import type { AccessGrant } from "@healthval/client";
import type { ReactNode } from "react";
import { moment, number } from "../format.ts";
import type { Hub } from "../hub.ts";
import { Empty, Load } from "../parts/load.tsx";
import { Table } from "../parts/table.tsx";
import { verified } from "../report.ts";
import { newest } from "./models.tsx";

interface Row {
  readonly study: string;
  readonly hospital: string;
  readonly status: string;
  readonly answered: string;
  readonly inputs: number | null;
  readonly reason: string;
}

export function Study({ hub }: { readonly hub: Hub }): ReactNode {
  return (
    <>
      <h1>Study record</h1>
      <p>Every hospital that requested access, with or without a result: a study without this list could leave out unfavourable hospitals.</p>
      <Load load={() => (hub.role === "vendor" ? ofReports(hub) : ofGrants(hub))} id="study" what="the study record">
        {(rows) =>
          rows.length === 0 ? (
            <Empty>No hospital has requested access yet.</Empty>
          ) : (
            <Table
              caption="Hospitals by study"
              file="study"
              rows={rows}
              id={(row) => `${row.study} ${row.hospital} ${row.answered} ${rows.indexOf(row)}`}
              columns={[
                { name: "Study", value: (row) => row.study, wide: true },
                { name: "Hospital", value: (row) => row.hospital, wide: true },
                { name: "Access", value: (row) => row.status },
                { name: "Result", value: (row) => row.answered },
                { name: "Inputs scored", value: (row) => row.inputs, show: (row) => number(row.inputs, 0), isNumber: true },
                { name: "Reason", value: (row) => row.reason, wide: true },
              ]}
            />
          )
        }
      </Load>
    </>
  );
}

async function ofGrants(hub: Hub): Promise<readonly Row[]> {
  const grants = await hub.grants();
  const answers = new Map<string, string>();
  if (hub.role === "operator") {
    const subjects = new Map(grants.map((grant) => [subjectOf(grant), grant]));
    for (const grant of subjects.values()) {
      for (const sent of await hub.submissions(grant.model, grant.version, grant.plan_hash)) {
        answers.set(`${subjectOf(grant)} ${sent.site}`, `received ${moment(sent.received)}`);
      }
    }
  }
  return grants.map((grant) => ({
    study: `${grant.model} ${grant.version}: ${grant.title ?? grant.plan_hash.slice(0, 12)}`,
    hospital: grant.label,
    status: grant.state ?? grant.status,
    answered: answers.get(`${subjectOf(grant)} ${grant.site}`) ?? (hub.role === "operator" ? "none yet" : "not open to this key"),
    inputs: grant.used_cases ?? 0,
    reason: grant.reason ?? "",
  }));
}

function subjectOf(grant: AccessGrant): string {
  return `${grant.model} ${grant.version} ${grant.plan_hash}`;
}

/** A vendor reads the record that the signed reports contain. */
async function ofReports(hub: Hub): Promise<readonly Row[]> {
  const reports = await hub.reports();
  const subjects = new Set(reports.map((report) => `${report.model} ${report.version} ${report.plan_hash}`));
  const rows: Row[] = [];
  for (const subject of subjects) {
    const report = newest(reports.filter((one) => `${one.model} ${one.version} ${one.plan_hash}` === subject));
    if (!report) continue;
    const { numbers } = await verified(hub, report);
    for (const one of numbers.conduct?.hospitals ?? []) {
      rows.push({
        study: `${report.model} ${report.version}: ${numbers.plan.title}`,
        hospital: one.label,
        status: one.status,
        answered: one.sent ? "in the report" : "none",
        inputs: one.sent ? null : one.inputs, // a report counts the inputs of hospitals without a result only
        reason: one.reason ?? "",
      });
    }
  }
  return rows;
}
