import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** One page, one script, one style sheet, in the package that serves them. */
export default defineConfig({
  plugins: [react()],
  base: "./",
  resolve: { alias: { "@healthval/client": here("../../sdk/js/src/index.ts") } },
  build: {
    outDir: process.env["DASHBOARD_OUT"] ?? here("../../healthval/hub/dashboard"),
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
});
