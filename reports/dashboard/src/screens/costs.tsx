/** Runs and costs: inputs scored so far, and what they would cost on AWS. */

import type { ReactNode } from "react";
import { PRICES, idle, inferences, overhead } from "../costs.ts";
import { dollars } from "../format.ts";
import type { Hub } from "../hub.ts";
import { Empty, Load } from "../parts/load.tsx";
import { Table } from "../parts/table.tsx";

interface Row {
  readonly study: string;
  readonly hospital: string;
  readonly inputs: number;
  readonly memory: number;
  readonly usd: number;
}

// Assumptions of one inference; a film takes longer and is larger than a row of a table.
const SECONDS = { table: 0.05, dicom: 1, combined: 1 } as const;
const MEGABYTES = { table: 0.01, dicom: 1, combined: 1 } as const;

async function rows(hub: Hub): Promise<readonly Row[]> {
  const [grants, { models }] = await Promise.all([hub.grants(), hub.models()]);
  const by = new Map(models.map((one) => [`${one.registration.card.name} ${one.registration.card.version}`, one.registration]));
  return grants.map((grant) => {
    const registered = by.get(`${grant.model} ${grant.version}`);
    const kind = registered?.inputs?.kind ?? "table";
    const memory = registered?.memory_mb ?? 2048;
    const inputs = grant.used_cases ?? 0;
    const usd = inputs === 0 ? 0 : inferences(inputs, memory, SECONDS[kind], MEGABYTES[kind]) + overhead();
    return { study: `${grant.model} ${grant.version}`, hospital: grant.label, inputs, memory, usd };
  });
}

export function Costs({ hub }: { readonly hub: Hub }): ReactNode {
  const month = idle();
  const sum = month.reduce((all, [, usd]) => all + usd, 0);
  return (
    <>
      <h1>Runs and costs</h1>
      <h2>Would-be bill of the runs</h2>
      <Load load={() => rows(hub)} id="costs" what="runs">
        {(found) =>
          found.length === 0 ? (
            <Empty>No hospital has run a model yet.</Empty>
          ) : (
            <>
              <p>
                {found.reduce((all, row) => all + row.inputs, 0).toLocaleString("en")} inputs, at most{" "}
                <strong>{dollars(found.reduce((all, row) => all + row.usd, 0))}</strong> on AWS: every input is counted as a call of its own.
              </p>
              <Table
                caption="Runs by hospital"
                file="runs"
                rows={found}
                id={(row) => `${row.study} ${row.hospital} ${found.indexOf(row)}`}
                columns={[
                  { name: "Model", value: (row) => row.study },
                  { name: "Hospital", value: (row) => row.hospital, wide: true },
                  { name: "Inputs scored", value: (row) => row.inputs, isNumber: true },
                  { name: "Memory, MB", value: (row) => row.memory, isNumber: true },
                  { name: "At most, USD", value: (row) => row.usd, show: (row) => dollars(row.usd), isNumber: true },
                ]}
              />
            </>
          )
        }
      </Load>
      <h2>Idle bill</h2>
      <p>
        A month without evaluations would cost about <strong>{dollars(sum)}</strong>, for storage of the usual sizes.
      </p>
      <Table
        caption="Storage of an idle month"
        file="idle"
        rows={month}
        id={([what]) => what}
        columns={[
          { name: "Line", value: ([what]) => what, wide: true },
          { name: "USD a month", value: ([, usd]) => usd, show: ([, usd]) => dollars(usd), isNumber: true },
        ]}
      />
      <p className="small">
        List prices of {PRICES.region}, compiled {PRICES.compiled} and not checked against an account; free tiers are not subtracted. Assumed per
        inference: 0.05 s and 10 KB for a table, 1 s and 1 MB for a film.
      </p>
    </>
  );
}
