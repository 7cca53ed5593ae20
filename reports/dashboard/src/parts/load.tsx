/** States of what is fetched: loading, empty, refused, expired, offline. */

import { AccessDenied, HubUnavailable, IntegrityError } from "@healthval/client";
import { type ReactNode, useEffect, useState } from "react";

type State<T> = { readonly value: T } | { readonly error: unknown } | null;

/** Fetch on mount and whenever `key` changes; `again` fetches anew: what was fetched stays until then, an error does not. */
export function useLoad<T>(load: () => Promise<T>, key: string): { state: State<T>; again: () => void } {
  const [held, setHeld] = useState<{ key: string; state: State<T> }>({ key, state: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let isCurrent = true;
    const set = (state: State<T>): void => {
      if (isCurrent) setHeld({ key, state });
    };
    load().then(
      (value) => set({ value }),
      (error: unknown) => set({ error }),
    );
    return () => {
      isCurrent = false;
    };
  }, [key, turn]);
  const again = (): void => {
    if (held.state && "error" in held.state) setHeld({ key, state: null });
    setTurn((n) => n + 1);
  };
  return { state: held.key === key ? held.state : null, again };
}

/** Show what was fetched, or the state that it is in. */
export function Load<T>(props: {
  readonly load: () => Promise<T>;
  readonly id: string;
  readonly what: string;
  readonly children: (value: T, again: () => void) => ReactNode;
}): ReactNode {
  const { state, again } = useLoad(props.load, props.id);
  if (state === null) return <p role="status" className="state">Loading {props.what} …</p>;
  if ("error" in state) return <Failed error={state.error} again={again} />;
  return props.children(state.value, again);
}

/** An error in words, with its remedy. */
export function Failed({ error, again }: { readonly error: unknown; readonly again?: () => void }): ReactNode {
  const { title, text } = explained(error);
  return (
    <div role="alert" className="state failed">
      <h2>{title}</h2>
      <p>{text}</p>
      {again && <button onClick={again}>Try again</button>}
    </div>
  );
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.?$/, ".")}`;
}

/** Return title and text of an error. */
export function explained(error: unknown): { readonly title: string; readonly text: string } {
  const text = error instanceof Error ? error.message : "The page failed.";
  if (error instanceof IntegrityError) {
    return { title: "Do not rely on this report", text: `Its signature could not be verified: ${text}.` };
  }
  if (!navigator.onLine) return { title: "Offline", text: "This device has no network connection; results are not shown from memory." };
  if (error instanceof HubUnavailable) return { title: "The hub does not respond", text };
  if (error instanceof AccessDenied && /link has expired|has ended|was revoked|knows/.test(text)) {
    return { title: "This link or key is not valid", text: `${sentence(text)} Ask the operator of the hub for a new link, or to enrol your key.` };
  }
  if (error instanceof AccessDenied) return { title: "Access denied", text };
  return { title: "That did not work", text };
}

/** A list without entries, and what would put one there. */
export function Empty({ children }: { readonly children: ReactNode }): ReactNode {
  return <p className="state">{children}</p>;
}
