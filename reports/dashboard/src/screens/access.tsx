/** Access requests: the operator approves or rejects, with a reason. */

import type { AccessGrant } from "@healthval/client";
import { type ReactNode, useRef, useState } from "react";
import type { Hub } from "../hub.ts";
import { Empty, Failed, Load } from "../parts/load.tsx";
import { Table } from "../parts/table.tsx";
import { Time } from "../parts/time.tsx";

const idOf = (grant: AccessGrant): string => `${grant.site} ${grant.model} ${grant.version} ${grant.plan_hash}`;

/** Grants; those that wait for a decision come first, then the newest. */
async function waitingFirst(hub: Hub): Promise<readonly AccessGrant[]> {
  const grants = await hub.grants();
  const rank = (grant: AccessGrant): number => (grant.status === "requested" ? 0 : 1);
  return [...grants].sort((a, b) => rank(a) - rank(b) || String(b.requested).localeCompare(String(a.requested)));
}

export function Access({ hub }: { readonly hub: Hub }): ReactNode {
  return (
    <>
      <h1>Access requests</h1>
      <Load load={() => waitingFirst(hub)} id="grants" what="access requests">
        {(grants, again) => <Grants hub={hub} grants={grants} again={again} />}
      </Load>
    </>
  );
}

function Grants({ hub, grants, again }: { readonly hub: Hub; readonly grants: readonly AccessGrant[]; readonly again: () => void }): ReactNode {
  const [open, setOpen] = useState<AccessGrant | null>(null);
  const [done, setDone] = useState("");
  if (grants.length === 0) return <Empty>No hospital has requested access yet.</Empty>;
  const waiting = grants.filter((grant) => grant.status === "requested").length;
  return (
    <>
      <p role="status">{done || `${waiting} of ${grants.length} requests wait for a decision.`}</p>
      {open && (
        <Decision
          key={idOf(open)}
          hub={hub}
          grant={open}
          onEnd={(text) => {
            setOpen(null);
            document.getElementById("main")?.focus(); // the button that had the focus is gone
            if (text) setDone(text);
            if (text) again();
          }}
        />
      )}
      <Table
        caption="Requests of hospitals"
        file="access"
        rows={grants}
        id={idOf}
        columns={[
          { name: "Hospital", value: (grant) => grant.label, wide: true },
          {
            name: "Decision",
            value: () => "",
            isDrawn: true,
            show: (grant) =>
              hub.role === "operator" && (
                <button onClick={() => setOpen(grant)} aria-label={`Decide on the request of ${grant.label}`}>
                  Decide
                </button>
              ),
          },
          { name: "Key", value: (grant) => grant.site, show: (grant) => <code>{grant.site}</code> },
          { name: "Model", value: (grant) => `${grant.model} ${grant.version}` },
          { name: "Plan", value: (grant) => grant.title ?? grant.plan_hash.slice(0, 12), wide: true },
          { name: "State", value: (grant) => grant.state ?? grant.status },
          { name: "Requested", value: (grant) => grant.requested, show: (grant) => <Time at={grant.requested} /> },
          { name: "Ends", value: (grant) => grant.not_after, show: (grant) => <Time at={grant.not_after} /> },
          { name: "Reason", value: (grant) => grant.reason ?? "", wide: true },
        ]}
      />
    </>
  );
}

type Status = "approved" | "rejected" | "suspended" | "revoked";

/** Decisions that follow a state; the hub has the last word. */
const NEXT: Readonly<Record<string, readonly Status[]>> = {
  requested: ["approved", "rejected"],
  rejected: ["approved"],
  approved: ["approved", "suspended", "revoked"],
  active: ["approved", "suspended", "revoked"],
  suspended: ["approved", "revoked"],
  expired: ["approved", "revoked"],
  revoked: [],
};

function Decision({ hub, grant, onEnd }: { readonly hub: Hub; readonly grant: AccessGrant; readonly onEnd: (text: string) => void }): ReactNode {
  const choices = NEXT[grant.state ?? grant.status] ?? [];
  const form = useRef<HTMLFormElement>(null);
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const send = async (): Promise<void> => {
    const data = new FormData(form.current!);
    const reason = String(data.get("reason")).trim();
    const status = String(data.get("status")) as Status;
    setBusy(true);
    try {
      await hub.decide(grant, {
        status,
        valid_days: Number(data.get("days")),
        max_cases: Number(data.get("cases")),
        reason: reason || null,
      });
      onEnd(`${grant.label}: ${status}.`);
    } catch (found) {
      setError(found);
      setBusy(false);
    }
  };
  if (choices.length === 0) return <Empty>The request of {grant.label} is {grant.status}; it cannot be changed any more.</Empty>;
  return (
    <form
      ref={form}
      className="decision"
      aria-label={`Decision on the request of ${grant.label}`}
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <h2>{grant.label}</h2>
      <p>
        Wants to evaluate {grant.model} {grant.version} under the plan {grant.title ?? ""} <code>{grant.plan_hash.slice(0, 12)}</code>. Compare the key{" "}
        <code>{grant.site}</code> with the hospital by telephone.
      </p>
      {error != null && <Failed error={error} />}
      <fieldset>
        <legend>Decision</legend>
        {choices.map((status, index) => (
          <label key={status}>
            <input type="radio" name="status" value={status} defaultChecked={index === 0} autoFocus={index === 0} /> {status}
          </label>
        ))}
      </fieldset>
      <label>
        Valid for days <input name="days" type="number" min={1} max={366} defaultValue={90} required />
      </label>
      <label>
        At most cases <input name="cases" type="number" min={1} max={10_000_000} defaultValue={100_000} required />
      </label>
      <label>
        Reason, which the hospital sees <input name="reason" maxLength={200} />
      </label>
      <div className="tools">
        <button type="submit" disabled={isBusy}>
          Save decision
        </button>
        <button type="button" onClick={() => onEnd("")}>
          Cancel
        </button>
      </div>
    </form>
  );
}
