// The vectors of schemas/conformance.json, which the Python suite computes from its own package.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  Credential, auroc, canonicalJson, confusionAt, fingerprint, observedToExpected, proportion, rates,
  releasedCount, rounded, sha256,
} from "../dist/index.js";
import { content, isRetryable, waitMs } from "../dist/transport.js";

const vectors = JSON.parse(readFileSync(new URL("../../../schemas/conformance.json", import.meta.url), "utf-8"));
const text = new TextDecoder();

test("canonical JSON has the same bytes and hash", async () => {
  for (const { json, value, sha256: hash } of vectors.canonical) {
    assert.equal(text.decode(canonicalJson(value)), json);
    assert.equal(await sha256(canonicalJson(value)), hash);
  }
});

test("a token is the same for the same key, time and request", async () => {
  const known = vectors.token;
  const credential = await Credential.fromPem(known.pem);
  assert.deepEqual(credential.publicKey, known.public_key);
  assert.equal(credential.id, known.id);
  assert.equal(await fingerprint(credential.publicKey), known.fingerprint);
  assert.equal(await credential.toPem(), known.pem);
  const { aud, iat, jti } = known.claims;
  const body = new TextEncoder().encode(known.body);
  assert.equal(await credential.sign(known.method, aud, known.target, body, { iat, jti }), known.token);
});

test("a refusal becomes the same error with the same words, and the same ones are repeated", () => {
  for (const { status, body, retry, error, message } of vectors.problems) {
    assert.equal(isRetryable(status), retry);
    const answer = { status, body: new TextEncoder().encode(body), retryAfter: null };
    assert.throws(() => content(answer), { name: error, message });
  }
});

test("waits have full jitter below a doubling bound, and at least what the hub asks for", () => {
  assert.deepEqual([0, 3, 9].map((attempt) => waitMs(attempt, null, () => 1)), [200, 1600, 8000]);
  assert.equal(waitMs(0, null, () => 0), 0);
  assert.equal(waitMs(0, "3", () => 1), 3000);
  assert.equal(waitMs(0, "3600", () => 0), 8000);
  assert.equal(waitMs(0, "soon", () => 0), 0);
});

test("counts are suppressed and numbers rounded alike", () => {
  for (const [count, minimum, shown] of vectors.suppressed) assert.equal(releasedCount(count, minimum), shown);
  for (const [value, decimals, expected] of vectors.rounded) {
    assert.equal(rounded(value, decimals), expected, `${value} to ${decimals}`);
  }
});

test("metrics agree to twelve digits, with their method and reason", () => {
  for (const sample of vectors.metrics) {
    const { reference, score, level, threshold } = sample;
    const cells = confusionAt(reference, score, threshold);
    assert.deepEqual(cells, sample.confusion);
    const found = rates(cells, level);
    for (const name of Object.keys(sample.rates)) close(found[name], sample.rates[name]);
    close(auroc(reference, score, level), sample.auroc);
    close(observedToExpected(reference, score, level), sample.oe);
  }
});

test("proportions agree at every level", () => {
  for (const { k, n, level, estimate } of vectors.proportions) close(proportion(k, n, level), estimate);
});

function close(found, expected) {
  for (const [name, value] of Object.entries(expected)) {
    if (typeof value !== "number") assert.equal(found[name], value, name);
    else assert.ok(Math.abs(found[name] - value) <= 1e-12 * Math.max(1, Math.abs(value)), `${name}: ${found[name]} ${value}`);
  }
}
