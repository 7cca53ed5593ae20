/** The page: sign-in, navigation and the current screen. */

import { type ReactNode, useEffect, useState } from "react";
import type { Hub, Role } from "./hub.ts";
import { Boundary } from "./parts/boundary.tsx";
import { Empty } from "./parts/load.tsx";
import { to, useRoute } from "./route.ts";
import { Access } from "./screens/access.tsx";
import { Audit } from "./screens/audit.tsx";
import { Compare } from "./screens/compare.tsx";
import { Costs } from "./screens/costs.tsx";
import { Model } from "./screens/model.tsx";
import { Models } from "./screens/models.tsx";
import { Report } from "./screens/report.tsx";
import { SignIn, openedByLink } from "./screens/signin.tsx";
import { Study } from "./screens/study.tsx";

interface Screen {
  readonly name: string;
  readonly label: string;
  readonly roles: readonly Role[];
}

const SCREENS: readonly Screen[] = [
  { name: "models", label: "Models", roles: ["operator", "vendor", "auditor"] },
  { name: "compare", label: "Compare", roles: ["operator", "vendor"] },
  { name: "access", label: "Access requests", roles: ["operator", "auditor"] },
  { name: "study", label: "Study record", roles: ["operator", "vendor", "auditor"] },
  { name: "costs", label: "Runs and costs", roles: ["operator", "auditor"] },
  { name: "audit", label: "Audit", roles: ["operator", "auditor"] },
];

/** @param link - token of a dashboard link, taken from the address bar before the page was drawn */
export function App({ link }: { readonly link: string | null }): ReactNode {
  const [hub, setHub] = useState<Hub | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [isOpening, setOpening] = useState(link !== null);
  useEffect(() => {
    if (link === null) return;
    openedByLink(link)
      .then(setHub, setFailure)
      .finally(() => setOpening(false));
  }, [link]);
  if (isOpening) return <p role="status" className="state">Signing in …</p>;
  if (!hub) return <SignIn onOpen={setHub} failure={failure} />;
  return <Signed hub={hub} onEnd={() => setHub(null)} />;
}

function Signed({ hub, onEnd }: { readonly hub: Hub; readonly onEnd: () => void }): ReactNode {
  const route = useRoute();
  const screens = SCREENS.filter((screen) => screen.roles.includes(hub.role));
  const current = route[0] ?? "models";
  const isOffline = useOffline();
  useEffect(() => {
    const screen = SCREENS.find(({ name }) => name === current);
    document.title = `${screen?.label ?? route.slice(1).join(" ")} · healthval`;
    document.getElementById("main")?.focus({ preventScroll: false });
  }, [route.join("/")]);
  return (
    <>
      <a className="skip" href="#main" onClick={skip}>
        Skip to content
      </a>
      <header>
        <strong>healthval</strong>
        <nav aria-label="Screens">
          {screens.map(({ name, label }) => (
            <a key={name} href={to(name)} aria-current={current === name ? "page" : undefined}>
              {label}
            </a>
          ))}
        </nav>
        <span className="who">
          {hub.role} <code>{hub.holder.id}</code> <button onClick={onEnd}>Sign out</button>
        </span>
      </header>
      {isOffline && (
        <p role="alert" className="state failed">
          Offline: what is shown may be out of date.
        </p>
      )}
      <main id="main" tabIndex={-1}>
        <Boundary key={route.join("/")}>{screen(hub, route, screens)}</Boundary>
      </main>
    </>
  );
}

function skip(event: { preventDefault: () => void }): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function screen(hub: Hub, route: readonly string[], screens: readonly Screen[]): ReactNode {
  const [name = "models", first, second] = route;
  if (name === "model" && first && second) return <Model hub={hub} name={first} version={second} />;
  if (name === "report" && first && hub.canReadReports) return <Report hub={hub} id={first} />;
  if (!screens.some((one) => one.name === name)) {
    return (
      <>
        <h1>Not found</h1>
        <Empty>There is no such screen for the {hub.role}.</Empty>
      </>
    );
  }
  if (name === "compare") return <Compare hub={hub} />;
  if (name === "access") return <Access hub={hub} />;
  if (name === "study") return <Study hub={hub} />;
  if (name === "costs") return <Costs hub={hub} />;
  if (name === "audit") return <Audit hub={hub} />;
  return <Models hub={hub} />;
}

function useOffline(): boolean {
  const [isOffline, setOffline] = useState(!navigator.onLine);
  useEffect(() => {
    const changed = (): void => setOffline(!navigator.onLine);
    addEventListener("online", changed);
    addEventListener("offline", changed);
    return () => {
      removeEventListener("online", changed);
      removeEventListener("offline", changed);
    };
  }, []);
  return isOffline;
}
