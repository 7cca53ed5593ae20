/** Addresses of screens in the fragment, so that a static host needs no rules. */

import { useSyncExternalStore } from "react";

/** Parts of the current address: the screen, then what it is about. */
export function useRoute(): readonly string[] {
  const hash = useSyncExternalStore(
    (changed) => {
      addEventListener("hashchange", changed);
      return () => removeEventListener("hashchange", changed);
    },
    () => location.hash,
  );
  return parts(hash);
}

export function parts(hash: string): readonly string[] {
  try {
    return hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return [];
  }
}

/** Return the fragment of a screen. */
export function to(...names: readonly string[]): string {
  return `#/${names.map(encodeURIComponent).join("/")}`;
}

const LINK = /^#token=([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/;

/** Take the token of a dashboard link out of the address bar and the history. */
export function takeLink(): string | null {
  if (!location.hash.startsWith("#token=")) return null;
  const found = LINK.exec(location.hash);
  history.replaceState(null, "", location.pathname + location.search);
  return found?.[1] ?? "";
}
