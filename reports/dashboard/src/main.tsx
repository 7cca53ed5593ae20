import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { takeLink } from "./route.ts";
import "./style.css";

const link = takeLink();
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App link={link} />
  </StrictMode>,
);
