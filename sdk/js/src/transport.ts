/**
 * Signed HTTP: tokens, repeated attempts, and the errors of the hub's answers.
 *
 * Every attempt has a new token, bound to method, path and body. Every call is safe to repeat: a POST
 * carries one `Idempotency-Key` over all its attempts, so the hub answers a repetition as the first.
 */

import { bytes } from "./canonical.js";
import { type Credential, randomText } from "./credential.js";
import { AccessDenied, HubError, HubUnavailable, UsageError } from "./errors.js";

export const ATTEMPTS = 6;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 8_000;
const TIMEOUT_MS = 65_000;
const RETRYABLE = new Set([429, 502, 503, 504, 507]);

/** Bound on the size of an answer; a hub's longest one is far below it. */
const LONGEST_ANSWER = 128 * 1024 * 1024;

/** What a call of the hub may be given besides its content. */
export interface CallOptions {
  /** Ends the call; it then throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Content of one request. */
export interface Sent extends CallOptions {
  readonly body?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signed?: boolean;
}

/** What signs a request: a credential, or the token of a dashboard link. */
export type Signer = Pick<Credential, "sign">;

/** Connections to one hub; signs each request with one credential. */
export class SignedTransport {
  readonly origin: string;
  readonly #credential: Signer;

  constructor(url: string, credential: Signer) {
    this.origin = checkedOrigin(url);
    this.#credential = credential;
  }

  /**
   * Send one request and return the body of its answer.
   *
   * @throws HubUnavailable if no attempt had an answer, or the hub was unavailable at each
   * @throws HubError if the hub refuses; AccessDenied if the key or its rights are the reason
   */
  async send(method: string, target: string, sent: Sent = {}): Promise<Uint8Array<ArrayBuffer>> {
    const url = target.startsWith("/") ? this.origin + target : target;
    const fixed = method === "POST" ? { "content-type": "application/json", "idempotency-key": randomText() } : {};
    let last: Answer | undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const headers = { ...fixed, ...sent.headers, ...(await this.#token(method, target, sent)) };
      last = await attempted(url, method, headers, sent);
      if (last && !RETRYABLE.has(last.status)) return content(last);
      if (attempt < ATTEMPTS - 1) await pause(waitMs(attempt, last?.retryAfter), sent.signal);
    }
    throw unavailable(this.origin, last);
  }

  async #token(method: string, target: string, sent: Sent): Promise<Record<string, string>> {
    if (sent.signed === false) return {};
    const body = sent.body ?? new Uint8Array();
    return { authorization: `Bearer ${await this.#credential.sign(method, this.origin, target, body)}` };
  }
}

/** Status, body and waiting time of one answer. */
export interface Answer {
  readonly status: number;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly retryAfter: string | null;
}

async function attempted(
  url: string,
  method: string,
  headers: Record<string, string>,
  sent: Sent,
): Promise<Answer | undefined> {
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  const signal = sent.signal ? AbortSignal.any([sent.signal, deadline]) : deadline;
  const body = sent.body && sent.body.length > 0 ? bytes(sent.body) : null;
  try {
    // No redirect: a signed request, or an upload, goes to the address it was made for only.
    const response = await fetch(url, { method, headers, body, signal, redirect: "manual", credentials: "omit" });
    return {
      status: response.status,
      body: await wholeBody(response),
      retryAfter: response.headers.get("retry-after"),
    };
  } catch (error) {
    if (sent.signal?.aborted) throw sent.signal.reason;
    if (error instanceof HubError) throw error;
    return undefined; // not connected, cut off or too late: a repetition is safe
  }
}

async function wholeBody(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(response.headers.get("content-length") ?? 0) > LONGEST_ANSWER) throw tooLong();
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    size += part.value.length;
    if (size > LONGEST_ANSWER) {
      await reader?.cancel();
      throw tooLong();
    }
    parts.push(part.value);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function tooLong(): HubError {
  return new HubError("the hub's answer is longer than any answer of a hub; check its address");
}

/** Return a random wait (full jitter, Brooker 2015), at least the hub's Retry-After. */
export function waitMs(attempt: number, retryAfter: string | null = null, random: () => number = Math.random): number {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
  const asked = retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : 0;
  return Math.max(Math.min(asked, LONGEST_WAIT_MS), random() * longest);
}

/** Wait, unless the signal ends the call before. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) throw signal.reason;
  await new Promise<void>((resolve, reject) => {
    const ended = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", ended);
      resolve();
    }, ms);
    signal?.addEventListener("abort", ended, { once: true });
  });
}

/** Return the body of an answer, or throw what its status means. */
export function content(answer: Answer): Uint8Array<ArrayBuffer> {
  if (answer.status >= 200 && answer.status < 300) return answer.body;
  const refusal = `the hub refused: ${title(answer)}`;
  throw answer.status === 401 || answer.status === 403 ? new AccessDenied(refusal) : new HubError(refusal);
}

/** Return the error after the last attempt. */
export function unavailable(origin: string, last: Answer | undefined): HubUnavailable {
  if (!last) return new HubUnavailable(`no response from ${origin}; is the hub running?`);
  return new HubUnavailable(
    `the hub is still unavailable after ${ATTEMPTS} attempts (${title(last)}); try again later`,
  );
}

/** Return whether another attempt may succeed. */
export function isRetryable(status: number): boolean {
  return RETRYABLE.has(status);
}

function title(answer: Answer): string {
  try {
    const problem: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(answer.body));
    if (isProblem(problem)) return problem.detail ? `${problem.title}; ${problem.detail}` : problem.title;
  } catch {
    // no problem document: the status is what is known
  }
  return `status ${answer.status}`;
}

function isProblem(value: unknown): value is { title: string; detail?: string } {
  if (typeof value !== "object" || value === null) return false;
  const { title: head, detail, status } = value as Record<string, unknown>;
  return (
    typeof head === "string" &&
    /^[^\u0000-\u001f<>]{1,200}$/u.test(head) &&
    (detail === undefined || (typeof detail === "string" && detail.length <= 1000)) &&
    typeof status === "number"
  );
}

/**
 * Reduce a URL to its origin.
 *
 * @throws UsageError if it is no origin, or is plain HTTP beyond loopback, where others could read
 */
export function checkedOrigin(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new UsageError("the hub's address is not a URL");
  }
  const isBare = parsed.pathname === "/" && !parsed.search && !parsed.username && !parsed.password && !parsed.hash;
  if (!isBare || !parsed.hostname) {
    throw new UsageError("the hub's address is an origin, like https://hub.example.org");
  }
  if (parsed.protocol !== "https:" && !(parsed.protocol === "http:" && isLoopback(parsed.hostname))) {
    throw new UsageError("the hub's address must begin with https:// (http:// only on loopback)");
  }
  return parsed.origin;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}
