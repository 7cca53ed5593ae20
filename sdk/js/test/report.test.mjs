// Signed reports and releases: what is unchanged passes, every change is named.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Credential, IntegrityError, SubmissionError, UsageError, checkRelease, readStatement, sha256, verifyReport } from "../dist/index.js";

const encoder = new TextEncoder();

async function signed(files, change = {}) {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const { x } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const subject = await Promise.all(
    Object.entries(files).map(async ([name, data]) => ({ name, digest: { sha256: await sha256(data) } })),
  );
  const statement = {
    _type: "https://in-toto.io/Statement/v1", subject, predicateType: "urn:healthval:validation:v1",
    predicate: { model: "tumour" }, ...change,
  };
  const payload = encoder.encode(JSON.stringify(statement));
  const head = encoder.encode(`DSSEv1 28 application/vnd.in-toto+json ${payload.length} `);
  const signature = await crypto.subtle.sign("Ed25519", pair.privateKey, Buffer.concat([head, payload]));
  const envelope = {
    payload: Buffer.from(payload).toString("base64"), payloadType: "application/vnd.in-toto+json",
    signatures: [{ keyid: "k", sig: Buffer.from(signature).toString("base64") }],
  };
  return { envelope: encoder.encode(JSON.stringify(envelope)), key: { kty: "OKP", crv: "Ed25519", x } };
}

const FILES = { "report.html": encoder.encode("<p>report"), "metrics.json": encoder.encode("{}") };

test("an unchanged report verifies under its key and under no other", async () => {
  const { envelope, key } = await signed(FILES);
  const other = (await Credential.create()).publicKey;
  const statement = await verifyReport(envelope, FILES, [other, key]);
  assert.equal(statement.about.model, "tumour");
  assert.deepEqual(Object.keys(statement.files).sort(), ["metrics.json", "report.html"]);
  await assert.rejects(readStatement(envelope, [other]), { name: "IntegrityError", message: /not signed by a trusted key/ });
  await assert.rejects(readStatement(envelope, []), IntegrityError);
});

test("a changed, added or malformed part is refused", async () => {
  const { envelope, key } = await signed(FILES);
  const changed = { ...FILES, "report.html": encoder.encode("<p>Report") };
  await assert.rejects(verifyReport(envelope, changed, [key]), /report.html differs/);
  await assert.rejects(verifyReport(envelope, { ...FILES, "other.pdf": encoder.encode("x") }, [key]), /not covered/);
  const flipped = envelope.slice();
  flipped[20] ^= 1;
  await assert.rejects(readStatement(flipped, [key]), IntegrityError);
  for (const change of [{ subject: [] }, { _type: "x" }, { subject: [{ name: "../x", digest: { sha256: "0".repeat(64) } }] }, { predicate: 1 }]) {
    const { envelope: odd, key: own } = await signed(FILES, change);
    await assert.rejects(readStatement(odd, [own]), IntegrityError);
  }
});

test("a release with a small count, an unknown field or free text is refused by place", () => {
  const estimate = { value: 0.8, lo: 0.7, hi: 0.9, n: 100, n_events: 40 };
  const release = {
    model: "tumour", version: "1.0", model_digest: "a".repeat(64), plan_hash: "b".repeat(64), healthval_version: "0.1.0",
    dates: "removed", n: 100, n_events: 40, auroc: estimate,
    certificate: { policy: "cms", policy_version: 1, minimum_cell: 11 },
  };
  const bytes = (change) => encoder.encode(JSON.stringify({ ...release, ...change }));
  assert.equal(checkRelease(bytes({})).n, 100);
  assert.equal(checkRelease(bytes({ n_indeterminate: 0 })).n_indeterminate, 0);
  for (const [change, place] of [
    [{ n_events: 3 }, /1 count below .* 'n_events'/],
    [{ auroc: { ...estimate, n: 7 } }, /'auroc.n'/],
    [{ note: "Jane Doe" }, /'\?': unknown/],
    [{ model: "Jane Doe" }, /'model': pattern/],
    [{ n: "many" }, /'n'/],
  ]) {
    assert.throws(() => checkRelease(bytes(change)), (error) => {
      assert.ok(error instanceof SubmissionError && place.test(error.message) && !/jane/i.test(error.message), error.message);
      return true;
    });
  }
  assert.throws(() => checkRelease(encoder.encode("{")), SubmissionError);
});

test("a key that is not extractable stays in its process", async () => {
  const kept = await Credential.create(false);
  await assert.rejects(kept.toPem(), UsageError);
  assert.ok(await kept.sign("GET", "https://hub.example.org", "/", new Uint8Array()));
  await assert.rejects(Credential.fromPem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"), UsageError);
});
