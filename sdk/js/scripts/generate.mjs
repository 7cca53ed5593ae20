// Write src/api.ts (types) and src/schemas.ts (what answers are checked against) from the hub's
// OpenAPI document: `node scripts/generate.mjs`, or with --check to report whether they are current.
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const source = new URL("../../../schemas/openapi.json", import.meta.url);
const head = "/* Generated from schemas/openapi.json by `npm run generate`; do not edit. */\n";
const document = JSON.parse(readFileSync(source, "utf-8"));

const SHAPES = [
  "AccessGrant", "AccessList", "HubKeys", "ModelList", "ModelRecord", "PredictionAnswer", "Receipt",
  "ReportList", "ReportRecord", "Submission", "SubmissionList", "UploadTicket",
].filter((name) => name in document.components.schemas);
const UNUSED = new Set(["title", "description", "default", "discriminator", "examples"]);

const types = astToString(
  await openapiTS(document, { immutable: true, rootTypes: true, rootTypesNoSchemaPrefix: true }),
);
const files = { "src/api.ts": head + types, "src/schemas.ts": head + schemas() };

function schemas() {
  const wanted = new Map();
  const queue = [...SHAPES];
  for (let name = queue.pop(); name; name = queue.pop()) {
    if (wanted.has(name)) continue;
    wanted.set(name, bare(document.components.schemas[name]));
    const text = JSON.stringify(wanted.get(name));
    queue.push(...[...text.matchAll(/#\/components\/schemas\/(\w+)/g)].map((found) => found[1]));
  }
  const sorted = Object.fromEntries([...wanted].sort(([a], [b]) => (a < b ? -1 : 1)));
  return `export const SCHEMAS: Readonly<Record<string, unknown>> = ${JSON.stringify(sorted)
    .replaceAll("#/components/schemas/", "")
    .replaceAll('},"', '},\n"')};\n`;
}

/** Return a schema without what only people read. */
function bare(schema) {
  if (Array.isArray(schema)) return schema.map(bare);
  if (typeof schema !== "object" || schema === null) return schema;
  const kept = Object.entries(schema).filter(([key, held]) => !(UNUSED.has(key) && typeof held !== "object") && key !== "discriminator" && key !== "default");
  return Object.fromEntries(
    kept.map(([key, held]) => [key, key === "properties" ? mapped(held) : bare(held)]),
  );
}

/** Properties may themselves be called "title" or "description". */
function mapped(properties) {
  return Object.fromEntries(Object.entries(properties).map(([name, held]) => [name, bare(held)]));
}

let stale = 0;
for (const [name, text] of Object.entries(files)) {
  const path = new URL(`../${name}`, import.meta.url);
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readFileSync(path, "utf-8") !== text) stale += 1;
}
if (stale) console.error(`${stale} generated file(s) are stale; run \`npm run generate\``);
process.exitCode = stale ? 1 : 0;
