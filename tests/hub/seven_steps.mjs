// The seven steps with the packed JavaScript client; `test_hub_javascript.py` runs it.
//   node seven_steps.mjs site URL OPERATOR.pem RELEASE.json   -> one line of JSON
//   node seven_steps.mjs vendor URL VENDOR.pem PLATFORM.json  -> one line of JSON
import { readFileSync } from "node:fs";

import { Client, Credential, auroc, verifyReport } from "@healthval/client";

const [role, url, pem, given] = process.argv.slice(2);
const subject = { model: "tumour", version: "1.0", plan_hash: "a".repeat(64) };
const credential = await Credential.fromPem(readFileSync(pem, "utf-8"));
console.log(JSON.stringify(await (role === "site" ? site() : vendor())));

async function site() {
  const operator = new Client(url, credential);
  const client = new Client(url, await Credential.create());
  const grant = await client.requestAccess("St. Elsewhere", subject);
  await operator.decideAccess(grant, { status: "approved" });
  await client.waitForAccess(subject);

  const sizes = [0.5, 1, 2, 3, 1.5, null, 400];
  const parts = [sizes.slice(0, 4), sizes.slice(4)];
  let first = 0;
  const requests = parts.map((part) => ({
    ...subject,
    cases: part.map(() => `case-${(first++).toString(16).padStart(16, "0")}`),
    instances: { kind: "table", columns: ["size"], rows: part.map((size) => [size]) },
  }));
  const progress = [];
  const predictions = await client.predictAll(requests, { onProgress: (done, all) => progress.push([done, all]) });
  const scored = predictions.filter((one) => one.score !== null && one.score !== undefined);
  const area = auroc([0, 0, 1, 1, 1], scored.map((one) => one.score));

  const release = readFileSync(given);
  const receipt = await client.submit(release);
  const again = await client.submit(release);
  const active = await operator.submissions(subject);
  const mine = active.find((entry) => entry.site === client.credential.id);
  const held = await operator.submission(mine);
  return {
    site: client.credential.id,
    scores: predictions.map((one) => one.score ?? null),
    reasons: predictions.map((one) => one.reason),
    progress,
    auroc: area.value,
    receipt,
    again,
    same: Buffer.compare(Buffer.from(held), release) === 0,
  };
}

async function vendor() {
  const client = new Client(url, credential);
  const [report] = (await client.reports()).filter((one) => "attestation.dsse.json" in one.files);
  const names = Object.keys(report.files).filter((name) => name !== "attestation.dsse.json");
  const files = {};
  for (const name of names) files[name] = await client.reportFile(report, name);
  const envelope = await client.reportFile(report, "attestation.dsse.json");
  const statement = await verifyReport(envelope, files, [JSON.parse(readFileSync(given, "utf-8"))]);
  return { model: report.model, files: Object.keys(statement.files).sort(), fingerprint: statement.fingerprint };
}
