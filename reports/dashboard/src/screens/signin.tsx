/** Sign-in with a link or a key file; both stay in the memory of this page. */

import { Credential, UsageError } from "@healthval/client";
import { type ReactNode, useState } from "react";
import { Hub } from "../hub.ts";
import { Failed } from "../parts/load.tsx";

const LONGEST_KEY = 4096;

/** Sign in by the token of a dashboard link. */
export async function openedByLink(token: string): Promise<Hub> {
  return Hub.openLink(token, location.origin);
}

export function SignIn({ onOpen, failure }: { readonly onOpen: (hub: Hub) => void; readonly failure: unknown }): ReactNode {
  const [error, setError] = useState<unknown>(failure);
  const [isBusy, setBusy] = useState(false);
  const read = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    setBusy(true);
    try {
      if (file.size > LONGEST_KEY) throw new UsageError("the file is too large for a key; choose operator.key or vendor.key");
      onOpen(await Hub.open(await Credential.fromPem(await file.text(), false), location.origin));
    } catch (found) {
      setError(found);
      setBusy(false);
    }
  };
  return (
    <main className="signin" id="main">
      <h1>healthval</h1>
      <p>Results of medical AI models, judged by hospitals on their own patients.</p>
      {error != null && <Failed error={error} />}
      <h2>Sign in</h2>
      <p>Open the link that the operator sent you; it is valid for at most eight hours. Or choose your private key file:</p>
      <label className="file">
        Key file <input type="file" disabled={isBusy} onChange={(event) => void read(event.target.files?.[0])} />
      </label>
      <p className="small">
        The key stays in the memory of this page and is not sent or stored. Closing or reloading the page signs you out.
      </p>
    </main>
  );
}
