/** Client of the hub: access, predictions, uploads, submissions, models and reports. */

import type {
  AccessDecision,
  AccessGrant,
  AccessList,
  ModelList,
  ModelRecord,
  ModelRegistration,
  Prediction,
  PredictionAnswer,
  PredictionRequest,
  PublicKey,
  Receipt,
  ReportList,
  ReportRecord,
  SubmissionEntry,
  SubmissionList,
  UploadTicket,
} from "./api.js";
import { canonicalJson, sha256 } from "./canonical.js";
import type { Credential } from "./credential.js";
import { AccessDenied, HubError, HubUnavailable, IntegrityError, PredictionError, SubmissionError, counted } from "./errors.js";
import { checkRelease } from "./release.js";
import { read } from "./shape.js";
import { type CallOptions, SignedTransport, checkedOrigin, pause } from "./transport.js";

const LONGEST_WAIT_MS = 600_000;
const MOST_AT_ONCE = 8;
const UPLOAD_HEADERS = /^(content-type|content-md5|x-amz-[a-z0-9-]+)$/;

/** The model version and the plan that a request is about. */
export interface Subject {
  readonly model: string;
  readonly version: string;
  readonly plan_hash: string;
}

/** How long to wait for the hub, in milliseconds (ten minutes by default). */
export interface WaitOptions extends CallOptions {
  readonly waitMs?: number;
}

/** Options of work in many parts. */
export interface ManyOptions extends WaitOptions {
  /** Parts under way at once, at most 8. */
  readonly concurrency?: number;
  /** Called after each part with the number of finished parts and of all. */
  readonly onProgress?: (done: number, all: number) => void;
}

/** Calls of one hub with one credential. */
export class Client {
  readonly credential: Credential;
  readonly #transport: SignedTransport;

  /**
   * @param url - the hub's origin; https, or http on loopback
   * @throws UsageError if it is not
   */
  constructor(url: string, credential: Credential) {
    this.credential = credential;
    this.#transport = new SignedTransport(url, credential);
  }

  /** Origin of the hub. */
  get origin(): string {
    return this.#transport.origin;
  }

  // --- site ---------------------------------------------------------------------------------

  /** Request access with the public key; a repeated request returns the current grant. */
  async requestAccess(label: string, subject: Subject, options?: CallOptions): Promise<AccessGrant> {
    const asked = { public_key: this.credential.publicKey, label, ...subject };
    return this.#post("AccessGrant", "/v1/access-requests", asked, options);
  }

  /** List the grants: all for the operator; a site sees only its own. */
  async *accessRequests(options?: CallOptions): AsyncGenerator<AccessGrant> {
    for await (const page of this.#pages<AccessList>("AccessList", "/v1/access-requests", options)) {
      yield* page.grants;
    }
  }

  /**
   * Wait for the operator's decision and return the approved grant.
   *
   * @throws AccessDenied if the request is rejected or revoked, was not made, or is not decided in time
   */
  async waitForAccess(subject: Subject, options: WaitOptions = {}): Promise<AccessGrant> {
    const end = Date.now() + (options.waitMs ?? LONGEST_WAIT_MS);
    for (;;) {
      const grant = await this.#grant(subject, options);
      if (grant.status === "approved") return grant;
      if (grant.status !== "requested") throw new AccessDenied(`access is ${grant.status}; ask the operator why`);
      if (Date.now() >= end) throw new AccessDenied("the operator has not decided yet; try again later");
      await pause(500, options.signal);
    }
  }

  async #grant(subject: Subject, options: CallOptions): Promise<AccessGrant> {
    for await (const grant of this.accessRequests(options)) {
      const isMeant = grant.model === subject.model && grant.version === subject.version;
      if (isMeant && grant.plan_hash === subject.plan_hash && grant.site === this.credential.id) return grant;
    }
    throw new AccessDenied("access to this model under this plan is not requested yet; request it");
  }

  /**
   * Send a batch for scoring and wait for its answer.
   *
   * @throws PredictionError if the model failed on the batch or did not answer in time
   */
  async predict(request: PredictionRequest, options: WaitOptions = {}): Promise<PredictionAnswer> {
    const end = Date.now() + (options.waitMs ?? LONGEST_WAIT_MS);
    let answer = await this.#post<PredictionAnswer>("PredictionAnswer", "/v1/predictions", request, options);
    for (let wait = 100; answer.status === "pending"; wait = Math.min(1000, wait * 1.5)) {
      if (Date.now() >= end) throw new PredictionError("no answer in time; send the batch again");
      await pause(wait, options.signal);
      answer = await this.#get("PredictionAnswer", `/v1/predictions/${answer.id}`, options);
    }
    const n = request.cases.length;
    if (answer.status === "failed") {
      throw new PredictionError(`the model failed on a batch of ${counted(n, "case")}; ask the operator`);
    }
    const isSame = answer.predictions.length === n && answer.predictions.every((p, i) => p.case === request.cases[i]);
    if (!isSame) throw new PredictionError("the answer is for other cases than requested; it is not used");
    return answer;
  }

  /** Score many batches, several at once, and return the predictions in the order of the batches. */
  async predictAll(requests: readonly PredictionRequest[], options: ManyOptions = {}): Promise<Prediction[]> {
    const answers = await many(requests, options, (request, inner) => this.predict(request, inner));
    const digests = new Set(answers.map((answer) => answer.model_digest));
    if (digests.size > 1) throw new PredictionError("the model changed between batches; score all cases again");
    return answers.flatMap((answer) => [...answer.predictions]);
  }

  /** Upload one de-identified file and return its id for a prediction request. */
  async upload(data: Uint8Array, subject: Subject, options: CallOptions = {}): Promise<string> {
    const asked = { ...subject, sha256: await sha256(data), size: data.length };
    const ticket = await this.#post<UploadTicket>("UploadTicket", "/v1/uploads", asked, options);
    const foreign = Object.keys(ticket.headers ?? {}).filter((name) => !UPLOAD_HEADERS.test(name));
    if (foreign.length > 0) throw new HubError(`the upload address asks for ${counted(foreign.length, "header")} that no upload needs`);
    if (!ticket.url.startsWith("/")) checkedOrigin(new URL(ticket.url).origin);
    const sent = { ...options, body: data, headers: ticket.headers ?? {}, signed: false };
    await this.#transport.send("PUT", ticket.url, sent);
    return ticket.id;
  }

  /**
   * Upload many files, several at once, and return their ids in order.
   *
   * @param known - ids of stored files by SHA-256; it is filled in as files are stored, so that an
   *   interrupted call continues where it ended when it gets the same map again
   */
  async uploadAll(
    files: readonly Uint8Array[],
    subject: Subject,
    options: ManyOptions & { readonly known?: Map<string, string> } = {},
  ): Promise<string[]> {
    const known = options.known ?? new Map<string, string>();
    return many(files, options, async (data, inner) => {
      const hash = await sha256(data);
      const id = known.get(hash) ?? (await this.upload(data, subject, inner));
      known.set(hash, id);
      return id;
    });
  }

  /**
   * Submit a released result unchanged; the same bytes get the same receipt.
   *
   * @throws SubmissionError if the release does not fit its contract, or the hub refuses it
   * @throws IntegrityError if the receipt is for other bytes
   */
  async submit(payload: Uint8Array, options: CallOptions = {}): Promise<Receipt> {
    checkRelease(payload);
    let data;
    try {
      data = await this.#transport.send("POST", "/v1/submissions", { ...options, body: payload });
    } catch (error) {
      const isOther = error instanceof AccessDenied || error instanceof HubUnavailable || !(error instanceof HubError);
      throw isOther ? error : new SubmissionError(error.message);
    }
    let receipt = read<Receipt>("Receipt", data, HubError);
    const ledger = receipt.ledger ?? null;
    for (const end = Date.now() + LONGEST_WAIT_MS; receipt.state === "received" || receipt.state === "checked"; ) {
      if (Date.now() >= end) throw new SubmissionError("the hub has not checked the result in time; submit it again later");
      await pause(500, options.signal);
      receipt = await this.#get<Receipt>("Receipt", `/v1/receipts/${receipt.submission_sha256}`, options);
    }
    if (receipt.state === "refused") throw new SubmissionError(`the hub refused the result: ${receipt.reason}`);
    receipt = { ...receipt, ledger };
    if (receipt.submission_sha256 !== (await sha256(payload))) {
      throw new IntegrityError("the hub's receipt is for other bytes than were sent");
    }
    return receipt;
  }

  // --- operator -----------------------------------------------------------------------------

  /** Upload a model's artefact and register it. */
  async registerModel(registration: ModelRegistration, artefact: Uint8Array, options?: CallOptions): Promise<ModelRecord> {
    await this.#store(artefact, options);
    return this.#post("ModelRecord", "/v1/models", registration, options);
  }

  /** Start or stop the endpoint of a model. */
  async setModel(name: string, version: string, action: "start" | "stop", options?: CallOptions): Promise<ModelRecord> {
    const data = await this.#transport.send("POST", `/v1/models/${name}/${version}/${action}`, options);
    return read("ModelRecord", data, HubError);
  }

  /** Approve, reject or revoke a request. */
  async decideAccess(
    grant: AccessGrant,
    decision: Partial<AccessDecision> & Pick<AccessDecision, "status">,
    options?: CallOptions,
  ): Promise<AccessGrant> {
    const path = `${grant.site}/${grant.model}/${grant.version}/${grant.plan_hash}`;
    return this.#post("AccessGrant", `/v1/access-requests/${path}/decision`, decision, options);
  }

  /** Allow a developer's key to read the reports on these models. */
  async enrolVendor(publicKey: PublicKey, label: string, models: readonly string[], options?: CallOptions): Promise<void> {
    const body = canonicalJson({ public_key: publicKey, label, models });
    await this.#transport.send("POST", "/v1/vendors", { ...options, body });
  }

  /** List the active submissions for one model version under one plan. */
  async submissions(subject: Subject, options?: CallOptions): Promise<readonly SubmissionEntry[]> {
    const query = new URLSearchParams({ ...subject });
    return (await this.#get<SubmissionList>("SubmissionList", `/v1/submissions?${query}`, options)).submissions;
  }

  /** Fetch the bytes of one submission and check them against their hash. */
  async submission(entry: SubmissionEntry, options?: CallOptions): Promise<Uint8Array> {
    const target = `/v1/submissions/${entry.site}/${entry.submission_sha256}`;
    return checkedBytes(await this.#transport.send("GET", target, options), entry.submission_sha256);
  }

  // --- all keys -----------------------------------------------------------------------------

  /** List the models whose card this key may read. */
  async *models(options?: CallOptions): AsyncGenerator<ModelRecord> {
    for await (const page of this.#pages<ModelList>("ModelList", "/v1/models", options)) yield* page.models;
  }

  /** Return one model. */
  async model(name: string, version: string, options?: CallOptions): Promise<ModelRecord> {
    const record = await this.#get<ModelRecord>("ModelRecord", `/v1/models/${name}/${version}`, options);
    const { card } = record.registration;
    if (card.name !== name || card.version !== version) throw new HubError("the hub answered with another model");
    return record;
  }

  /** List the reports that this key may read. */
  async reports(options?: CallOptions): Promise<readonly ReportRecord[]> {
    return (await this.#get<ReportList>("ReportList", "/v1/reports", options)).reports;
  }

  /** Fetch one file of a report and check it against its hash. */
  async reportFile(report: ReportRecord, name: string, options?: CallOptions): Promise<Uint8Array> {
    const data = await this.#transport.send("GET", `/v1/reports/${report.id}/files/${name}`, options);
    return checkedBytes(data, report.files[name]);
  }

  // ------------------------------------------------------------------------------------------

  async #store(data: Uint8Array, options?: CallOptions): Promise<void> {
    await this.#transport.send("PUT", `/v1/objects/${await sha256(data)}`, { ...options, body: data });
  }

  async #post<T>(shape: string, target: string, sent: unknown, options?: CallOptions): Promise<T> {
    return read(shape, await this.#transport.send("POST", target, { ...options, body: canonicalJson(sent) }), HubError);
  }

  async #get<T>(shape: string, target: string, options?: CallOptions): Promise<T> {
    return read(shape, await this.#transport.send("GET", target, options), HubError);
  }

  async *#pages<T extends { readonly next?: string | null }>(
    shape: string,
    target: string,
    options?: CallOptions,
  ): AsyncGenerator<T> {
    let page = await this.#get<T>(shape, target, options);
    yield page;
    while (page.next) {
      page = await this.#get<T>(shape, `${target}?cursor=${page.next}`, options);
      yield page;
    }
  }
}

async function checkedBytes(data: Uint8Array, hash: string | undefined): Promise<Uint8Array> {
  if ((await sha256(data)) !== hash) throw new IntegrityError("the bytes from the hub do not match their listed hash");
  return data;
}

/** Do the same with each part, a few at once, in order; the first failure ends the others. */
async function many<In, Out>(
  parts: readonly In[],
  options: ManyOptions,
  work: (part: In, options: WaitOptions) => Promise<Out>,
): Promise<Out[]> {
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const inner = { signal, ...(options.waitMs === undefined ? {} : { waitMs: options.waitMs }) };
  const results = new Array<Out>(parts.length);
  const waiting = parts.entries();
  let done = 0;
  const worker = async (): Promise<void> => {
    for (const [i, part] of waiting) {
      results[i] = await work(part, inner);
      done += 1;
      options.onProgress?.(done, parts.length);
    }
  };
  const size = Math.max(1, Math.min(options.concurrency ?? MOST_AT_ONCE, MOST_AT_ONCE, parts.length));
  const workers = Array.from({ length: size }, worker);
  try {
    await Promise.all(workers);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(workers);
    throw error;
  }
  return results;
}
