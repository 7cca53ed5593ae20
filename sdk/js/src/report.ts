/** Verification of a signed report (in-toto statement in a DSSE envelope), in Node or in a page. */

import type { PublicKey } from "./api.js";
import { fromBase64, sha256 } from "./canonical.js";
import { fingerprint, isSignedBy, rawPublicKey } from "./credential.js";
import { IntegrityError } from "./errors.js";

export const ATTESTATION = "attestation.dsse.json";
const PAYLOAD_TYPE = "application/vnd.in-toto+json";
const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE = "urn:healthval:validation:v1";
const decoder = new TextDecoder("utf-8", { fatal: true });

/** What was signed, and by which key. */
export interface Statement {
  /** Name of each signed file and its SHA-256. */
  readonly files: Readonly<Record<string, string>>;
  /** Signed facts about the report, such as `model`, `version`, `plan_hash`, `signed_at`. */
  readonly about: Readonly<Record<string, unknown>>;
  readonly key: PublicKey;
  readonly fingerprint: string;
}

/**
 * Check the envelope's signature against trusted keys and return its statement.
 *
 * @param keys - keys from another source than the report: pinned, or published by the hub
 * @throws IntegrityError if the envelope is malformed or signed by none of the keys
 */
export async function readStatement(envelope: Uint8Array, keys: readonly PublicKey[]): Promise<Statement> {
  const { payload, signatures } = opened(envelope);
  const signed = preAuthentication(payload);
  for (const key of keys) {
    for (const signature of signatures) {
      if (await isSignedBy(key, signed, signature)) {
        return { ...parsed(payload), key, fingerprint: await fingerprint(key) };
      }
    }
  }
  throw new IntegrityError(`${ATTESTATION} is not signed by a trusted key`);
}

/**
 * Check the signature of a report and the digest of every signed file that is given.
 *
 * @param files - bytes by file name; a file that the statement does not name is refused
 * @throws IntegrityError naming the file
 */
export async function verifyReport(
  envelope: Uint8Array,
  files: Readonly<Record<string, Uint8Array>>,
  keys: readonly PublicKey[],
): Promise<Statement> {
  const statement = await readStatement(envelope, keys);
  for (const [name, data] of Object.entries(files)) {
    if (!Object.hasOwn(statement.files, name)) {
      throw new IntegrityError("a file is not covered by the signature; do not rely on it");
    }
    if ((await sha256(data)) !== statement.files[name]) {
      throw new IntegrityError(`${name} differs from the signed file; get the report again`);
    }
  }
  return statement;
}

function malformed(): IntegrityError {
  return new IntegrityError(`${ATTESTATION} is not a DSSE envelope of a report; get the report again`);
}

function opened(envelope: Uint8Array): { payload: Uint8Array; signatures: Uint8Array[] } {
  try {
    const outer = JSON.parse(decoder.decode(envelope));
    if (outer.payloadType !== PAYLOAD_TYPE) throw malformed();
    const signatures = outer.signatures.map((one: { sig: string }) => fromBase64(one.sig));
    return { payload: fromBase64(outer.payload), signatures };
  } catch {
    throw malformed();
  }
}

/** DSSE pre-authentication encoding. */
function preAuthentication(payload: Uint8Array): Uint8Array {
  const encoder = new TextEncoder();
  const head = encoder.encode(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `);
  const whole = new Uint8Array(head.length + payload.length);
  whole.set(head);
  whole.set(payload, head.length);
  return whole;
}

function parsed(payload: Uint8Array): Pick<Statement, "files" | "about"> {
  let statement;
  try {
    statement = JSON.parse(decoder.decode(payload));
  } catch {
    throw malformed();
  }
  const isReport = statement?._type === STATEMENT_TYPE && statement?.predicateType === PREDICATE_TYPE;
  if (!isReport || !Array.isArray(statement.subject) || statement.subject.length === 0) throw malformed();
  const files: Record<string, string> = Object.create(null);
  for (const { name, digest } of statement.subject) {
    const isSound = /^[a-z0-9][a-z0-9_.-]{0,63}$/.test(name) && /^[a-f0-9]{64}$/.test(digest?.sha256);
    if (!isSound || name in files) throw malformed();
    files[name] = digest.sha256;
  }
  const about = statement.predicate;
  if (typeof about !== "object" || about === null) throw malformed();
  if (about.signer) rawPublicKey(about.signer);
  return { files, about };
}
