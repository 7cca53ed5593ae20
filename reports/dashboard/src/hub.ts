/** Calls of the hub that served this page; the credential is in memory only. */

import type { AccessDecision, AccessGrant, ModelRecord, ReportRecord, SubmissionEntry } from "@healthval/client";
import { AccessDenied, HubError, IntegrityError, UsageError, canonicalJson, sha256 } from "@healthval/client";
import { read } from "../../../sdk/js/src/shape.ts";
import { SignedTransport, type Signer } from "../../../sdk/js/src/transport.ts";

export type Role = "operator" | "vendor" | "auditor";

/** One entry of the hub's audit chain. */
export interface AuditEntry {
  readonly number: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly previous: string;
}

/** The audit chain and its head, as the hub returned them. */
export interface AuditChain {
  readonly entries: readonly AuditEntry[];
  readonly head: { readonly number: number; readonly sha256: string } | null;
}

/** A key that the hub publishes. */
export interface PublishedKey {
  readonly x: string;
  readonly purpose: string;
  readonly valid_from: string;
  readonly valid_until?: string | null;
  readonly revoked?: string | null;
}

/** Model versions: those whose card this key may read, and the names of the others. */
export interface Models {
  readonly models: readonly ModelRecord[];
  readonly others: readonly { readonly name: string; readonly version: string }[];
}

interface Page {
  readonly next?: string | null;
}

/** What signs the calls, and the name that it stands for. */
export interface Holder extends Signer {
  readonly id: string;
}

/** Return the holder of a dashboard link, whose token is sent as it is. */
export function holderOfLink(token: string): Holder {
  return { id: subjectOf(token), sign: () => Promise.resolve(token) };
}

function subjectOf(token: string): string {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    return String(JSON.parse(atob(payload)).sub);
  } catch {
    throw new UsageError("the link is incomplete; open it again from where you received it");
  }
}

/** The hub, as one signed-in caller sees it. */
export class Hub {
  readonly #transport: SignedTransport;

  private constructor(
    readonly holder: Holder,
    readonly role: Role,
    /** A link reads reports only. */
    readonly isLink: boolean,
    transport: SignedTransport,
  ) {
    this.#transport = transport;
  }

  /**
   * Sign in: find out what the key may read.
   *
   * @throws AccessDenied if the hub does not know the key, or it may read neither reports nor requests
   */
  static async open(holder: Holder, origin: string): Promise<Hub> {
    const transport = new SignedTransport(origin, holder);
    const may = async (target: string): Promise<boolean> => {
      try {
        await transport.send("GET", `${target}?limit=1`);
        return true;
      } catch (error) {
        if (error instanceof AccessDenied && /cannot use this address/.test(error.message)) return false;
        throw error;
      }
    };
    const [reports, audit] = [await may("/v1/reports"), await may("/v1/audit")];
    if (!reports && !audit) throw new AccessDenied("this key is a hospital's; the dashboard is for vendors, auditors and the operator");
    return new Hub(holder, reports ? (audit ? "operator" : "vendor") : "auditor", false, transport);
  }

  /** Sign in by a dashboard link. */
  static async openLink(token: string, origin: string): Promise<Hub> {
    const holder = holderOfLink(token);
    const transport = new SignedTransport(origin, holder);
    await transport.send("GET", "/v1/reports?limit=1");
    return new Hub(holder, "vendor", true, transport);
  }

  get canReadReports(): boolean {
    return this.role !== "auditor";
  }

  async models(): Promise<Models> {
    const found = { models: [] as ModelRecord[], others: [] as Models["others"][number][] };
    if (this.isLink) return found;
    for await (const page of this.#pages<Models & Page>("ModelList", "/v1/models")) {
      found.models.push(...page.models);
      found.others.push(...(page.others ?? []));
    }
    return found;
  }

  async reports(): Promise<readonly ReportRecord[]> {
    if (!this.canReadReports) return [];
    const found: ReportRecord[] = [];
    for await (const page of this.#pages<{ reports: ReportRecord[] } & Page>("ReportList", "/v1/reports")) {
      found.push(...page.reports);
    }
    return found;
  }

  /** Fetch one file of a report; the bytes have the hash that the record lists. */
  async reportFile(report: ReportRecord, name: string): Promise<Uint8Array> {
    const data = await this.#transport.send("GET", `/v1/reports/${report.id}/files/${name}`);
    if ((await sha256(data)) !== report.files[name]) {
      throw new IntegrityError(`${name} does not have the hash in the hub's list; get the report again`);
    }
    return data;
  }

  /** Keys with which the hub's operator signs reports, as published. */
  async publishedKeys(): Promise<readonly PublishedKey[]> {
    const data = await this.#transport.send("GET", "/.well-known/healthval-keys.json", { signed: false });
    return read<{ keys: PublishedKey[] }>("HubKeys", data, HubError).keys;
  }

  async grants(): Promise<readonly AccessGrant[]> {
    const found: AccessGrant[] = [];
    for await (const page of this.#pages<{ grants: AccessGrant[] } & Page>("AccessList", "/v1/access-requests")) {
      found.push(...page.grants);
    }
    return found;
  }

  async decide(grant: AccessGrant, decision: AccessDecision): Promise<AccessGrant> {
    const target = `/v1/access-requests/${grant.site}/${grant.model}/${grant.version}/${grant.plan_hash}/decision`;
    const data = await this.#transport.send("POST", target, { body: canonicalJson(decision) });
    return read("AccessGrant", data, HubError);
  }

  async submissions(model: string, version: string, plan: string): Promise<readonly SubmissionEntry[]> {
    const found: SubmissionEntry[] = [];
    const target = `/v1/submissions?model=${model}&version=${version}&plan_hash=${plan}`;
    const pages = this.#pages<{ submissions: SubmissionEntry[] } & Page>("SubmissionList", target);
    for await (const page of pages) found.push(...page.submissions);
    return found;
  }

  async audit(): Promise<AuditChain> {
    const entries: AuditEntry[] = [];
    let head: AuditChain["head"] = null;
    for await (const page of this.#pages<AuditChain & Page>("", "/v1/audit")) {
      entries.push(...page.entries);
      head = page.head;
    }
    return { entries, head };
  }

  async *#pages<T extends Page>(shape: string, target: string): AsyncGenerator<T> {
    let next: string | null | undefined = "";
    while (next !== null && next !== undefined) {
      const query = next && `${target.includes("?") ? "&" : "?"}cursor=${next}`;
      const data: Uint8Array = await this.#transport.send("GET", target + query);
      const page: T = shape ? read<T>(shape, data, HubError) : (JSON.parse(new TextDecoder().decode(data)) as T);
      yield page;
      next = page.next;
    }
  }
}
