/** Audit chain, checked in this page. */

import type { ReactNode } from "react";
import { firstMisfit } from "../chain.ts";
import { moment } from "../format.ts";
import type { AuditChain, Hub } from "../hub.ts";
import { Empty, Load } from "../parts/load.tsx";
import { Table } from "../parts/table.tsx";
import { Time } from "../parts/time.tsx";

async function checked(hub: Hub): Promise<AuditChain & { readonly misfit: number | null }> {
  const chain = await hub.audit();
  return { ...chain, misfit: await firstMisfit(chain) };
}

export function Audit({ hub }: { readonly hub: Hub }): ReactNode {
  return (
    <>
      <h1>Audit</h1>
      <Load load={() => checked(hub)} id="audit" what="the audit chain">
        {({ entries, head, misfit }) =>
          entries.length === 0 ? (
            <Empty>The audit chain has no entry yet.</Empty>
          ) : (
            <>
              {misfit === null ? (
                <p role="status">
                  <strong>✓ The chain is complete</strong>: each entry contains the hash of the entry before. Its head is <code>{head?.sha256}</code>.
                </p>
              ) : (
                <p role="alert" className="state failed">
                  <strong>The chain is broken at entry {misfit}</strong>: an entry was changed, left out, added or cut off.
                </p>
              )}
              <Table
                caption="Changes, newest first"
                file="audit"
                rows={[...entries].reverse()}
                id={(entry) => String(entry.number)}
                columns={[
                  { name: "No.", value: (entry) => entry.number, isNumber: true },
                  { name: "Time", value: (entry) => moment(entry.at), show: (entry) => <Time at={entry.at} /> },
                  { name: "Actor", value: (entry) => entry.actor, show: (entry) => <code>{entry.actor}</code> },
                  { name: "Action", value: (entry) => entry.action },
                  { name: "Subject", value: (entry) => entry.subject, wide: true },
                ]}
              />
            </>
          )
        }
      </Load>
    </>
  );
}
