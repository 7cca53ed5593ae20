/** Whether the page is being printed: paper cannot be scrolled, so that a table then shows all rows. */

import { useEffect, useState } from "react";
import { flushSync } from "react-dom";

export function usePrinting(): boolean {
  const [isPrinting, setPrinting] = useState(false);
  useEffect(() => {
    const paper = window.matchMedia("print");
    const end = new AbortController();
    const set = (now: boolean) => (): void => flushSync(() => setPrinting(now)); // the browser prints at once
    window.addEventListener("beforeprint", set(true), { signal: end.signal });
    window.addEventListener("afterprint", set(false), { signal: end.signal });
    paper.addEventListener("change", (event) => set(event.matches)(), { signal: end.signal });
    return () => end.abort();
  }, []);
  return isPrinting;
}
