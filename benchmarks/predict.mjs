// Scores batches with the JavaScript client; `javascript.py` runs it.
//   node predict.mjs CLIENT.js URL SITE.pem BATCHES SIZE AT_ONCE   -> seconds
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [code, url, pem, batches, size, atOnce] = process.argv.slice(2);
const { Client, Credential } = await import(pathToFileURL(code));
const client = new Client(url, await Credential.fromPem(readFileSync(pem, "utf-8")));
const requests = Array.from({ length: Number(batches) }, (_, batch) => {
  const rows = Array.from({ length: Number(size) }, (_, row) => [(batch * Number(size) + row) % 100]);
  const cases = rows.map((_, row) => `case-${(batch * Number(size) + row).toString(16).padStart(16, "0")}`);
  return { model: "tumour", version: "1.0", plan_hash: "a".repeat(64), cases, instances: { kind: "table", columns: ["size"], rows } };
});
await client.predict(requests[0]); // connection and code are warm
const began = performance.now();
const scored = await client.predictAll(requests, { concurrency: Number(atOnce) });
console.log((performance.now() - began) / 1000);
if (scored.some((one, i) => one.score !== (i % 100) / 400)) throw new Error("a score is not its row's");
