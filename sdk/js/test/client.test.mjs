// The client against a server on loopback that misbehaves as real ones do.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";

import { AccessDenied, Client, Credential, HubError, HubUnavailable, IntegrityError, PredictionError, UsageError, sha256 } from "../dist/index.js";

const SUBJECT = { model: "tumour", version: "1.0", plan_hash: "a".repeat(64) };
const GRANT = { site: "site-abcdefgh", label: "St. Elsewhere", ...SUBJECT, status: "requested" };
let server, url, client, seen, replies;

before(async () => {
  server = createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      seen.push({ method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(parts) });
      const reply = replies.length > 1 ? replies.shift() : replies[0];
      if (reply === "drop") return request.socket.destroy();
      response.writeHead(reply.status ?? 200, reply.headers ?? {});
      response.end(typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body));
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  url = `http://127.0.0.1:${server.address().port}`;
  client = new Client(url, await Credential.create());
});
after(() => server.close());
beforeEach(() => { seen = []; replies = []; });

test("a POST is repeated with one key and a new token until the hub answers", async () => {
  replies = [{ status: 503, body: "" }, "drop", { body: GRANT }];
  const grant = await client.requestAccess("St. Elsewhere", SUBJECT);
  assert.equal(grant.status, "requested");
  assert.equal(seen.length, 3);
  assert.equal(new Set(seen.map((s) => s.headers["idempotency-key"])).size, 1);
  assert.equal(new Set(seen.map((s) => s.headers.authorization)).size, 3);
  const claims = JSON.parse(Buffer.from(seen[2].headers.authorization.split(".")[1], "base64url"));
  assert.equal(claims.htu, "/v1/access-requests");
  assert.equal(claims.body_sha256, await sha256(seen[2].body));
  assert.equal(claims.aud, url);
});

test("after six attempts the hub is unavailable; other refusals are not repeated", async () => {
  replies = [{ status: 403, body: { title: "Access is requested", status: 403 } }];
  await assert.rejects(client.requestAccess("x", SUBJECT), { name: "AccessDenied", message: /Access is requested/ });
  assert.equal(seen.length, 1);
  replies = [{ status: 503, body: { title: "Busy", status: 503 } }];
  seen = [];
  await assert.rejects(client.reports(), { name: "HubUnavailable", message: /after 6 attempts \(Busy\)/ });
  assert.equal(seen.length, 6);
  assert.ok(seen.every((s) => s.headers["idempotency-key"] === undefined), "a GET has no key");
});

test("a signal ends a call at once", async () => {
  replies = [{ status: 503, headers: { "retry-after": "8" }, body: "" }];
  const stop = new AbortController();
  const call = client.reports({ signal: stop.signal });
  const rejected = assert.rejects(call, /enough/);
  while (!seen.length) await new Promise((later) => setTimeout(later, 5));  // none is left for the next test
  stop.abort(new Error("enough"));
  await rejected;
});

test("a redirect is not followed", async () => {
  replies = [{ status: 307, headers: { location: "http://127.0.0.1:9/" }, body: "" }];
  await assert.rejects(client.reports(), HubError);
  assert.equal(seen.length, 1);
});

test("an answer that does not fit its contract is refused without a value of it", async () => {
  for (const body of ["nothing", { grants: [{ ...GRANT, site: "Jane Doe" }] }, { grants: [], jane_doe: 1 }, { grants: "Jane" }]) {
    replies = [{ body }];
    await assert.rejects(client.accessRequests().next(), (error) => {
      assert.ok(error instanceof HubError && !/jane/i.test(error.message), error.message);
      return true;
    });
  }
});

test("lists are read to their last page", async () => {
  replies = [{ body: { grants: [GRANT], next: "abc" } }, { body: { grants: [{ ...GRANT, site: "site-bbbbbbbb" }] } }];
  const sites = [];
  for await (const grant of client.accessRequests()) sites.push(grant.site);
  assert.deepEqual(sites, ["site-abcdefgh", "site-bbbbbbbb"]);
  assert.deepEqual(seen.map((s) => s.url), ["/v1/access-requests", "/v1/access-requests?cursor=abc"]);
});

test("a model or a prediction for something else is refused", async () => {
  const card = { name: "other", version: "1.0", title: "t", developer: "d", intended_use: "u", target_condition: "c" };
  const registration = { card, inputs: {}, artefact_sha256: "b".repeat(64) };
  replies = [{ body: { registration, digest: "c".repeat(64), status: "serving" } }];
  await assert.rejects(client.model("tumour", "1.0"), /another model/);
  replies = [{ body: { id: `prediction-${"0".repeat(32)}`, status: "done", predictions: [] } }];
  const request = { ...SUBJECT, cases: ["case-0123456789abcdef"], instances: { kind: "table", columns: [], rows: [[]] } };
  await assert.rejects(client.predict(request), PredictionError);
});

test("an upload goes to the hub or to https only, with headers of an upload only", async () => {
  const data = new TextEncoder().encode("image");
  const ticket = { id: `upload-${"0".repeat(32)}`, url: "/v1/uploads/1?signature=2", headers: {}, not_after: "2030-01-01T00:00:00Z" };
  replies = [{ body: ticket }, { body: "" }];
  assert.equal(await client.upload(data, SUBJECT), ticket.id);
  assert.equal(seen[1].headers.authorization, undefined);
  assert.deepEqual(seen[1].body, Buffer.from(data));
  replies = [{ body: { ...ticket, headers: { cookie: "a" } } }];
  await assert.rejects(client.upload(data, SUBJECT), /asks for 1 header/);
  replies = [{ body: { ...ticket, url: "http://storage.example.org/x" } }];
  await assert.rejects(client.upload(data, SUBJECT), UsageError);
});

test("many uploads run a few at once, report progress, and continue from what is known", async () => {
  const files = Array.from({ length: 20 }, (_, i) => new Uint8Array([i]));
  const ticket = { id: `upload-${"0".repeat(32)}`, url: "/v1/uploads/1", headers: {}, not_after: "2030-01-01T00:00:00Z" };
  replies = [{ body: ticket }];
  const known = new Map([[await sha256(files[3]), `upload-${"3".repeat(32)}`]]);
  const steps = [];
  const ids = await client.uploadAll(files, SUBJECT, { known, concurrency: 3, onProgress: (done) => steps.push(done) });
  assert.equal(ids[3], `upload-${"3".repeat(32)}`);
  assert.equal(seen.filter((s) => s.method === "PUT").length, 19);
  assert.deepEqual(steps, Array.from({ length: 20 }, (_, i) => i + 1));
  assert.equal(known.size, 20);
});

test("bytes of a report are checked against their hash", async () => {
  replies = [{ body: "<p>report" }];
  const report = { id: "report-0123456789abcdef", ...SUBJECT, n_sites: 1, files: { "report.html": "0".repeat(64) } };
  await assert.rejects(client.reportFile(report, "report.html"), IntegrityError);
});

test("plain HTTP beyond loopback and malformed addresses are refused", () => {
  for (const bad of ["http://hub.example.org", "hub", "https://hub.example.org/path", "https://a:b@hub.example.org", "http://127.0.0.1.example.org"]) {
    assert.throws(() => new Client(bad, client.credential), UsageError);
  }
});
