/** Credential: an Ed25519 key pair; its holder keeps the private half, the hub has the public one. */

import type { PublicKey } from "./api.js";
import { base64, base64url, bytes, fromBase64, sha256 } from "./canonical.js";
import { UsageError } from "./errors.js";

const ALGORITHM = "Ed25519";
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
const TOKEN_SECONDS = 60;
const encoder = new TextEncoder();

/** Time and identifier of one token; both are chosen by `sign` unless a test gives them. */
export interface TokenIdentity {
  readonly iat: number;
  readonly jti: string;
}

/** Ed25519 key of a site, vendor, auditor or operator. */
export class Credential {
  readonly #key: CryptoKey;

  private constructor(
    key: CryptoKey,
    /** Public half as JWK. */
    readonly publicKey: PublicKey,
    /** Name of this credential at the hub. */
    readonly id: string,
  ) {
    this.#key = key;
  }

  /**
   * Create a key pair.
   *
   * @param extractable - whether `toPem` may write the private key; false keeps it in this process
   */
  static async create(extractable = true): Promise<Credential> {
    const pair = (await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"])) as CryptoKeyPair;
    const { x = "" } = await crypto.subtle.exportKey("jwk", pair.publicKey);
    if (extractable) return Credential.#of(pair.privateKey, x);
    const pkcs8 = await crypto.subtle.exportKey("pkcs8", pair.privateKey);
    return Credential.#of(await imported(new Uint8Array(pkcs8), false), x);
  }

  /**
   * Read a private key in PEM (PKCS #8), the content of a key file of the Python package.
   *
   * @throws UsageError if the text contains no Ed25519 private key
   */
  static async fromPem(pem: string, extractable = true): Promise<Credential> {
    const body = /-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----/.exec(pem);
    try {
      const pkcs8 = fromBase64((body?.[1] ?? "!").replace(/\s/g, ""));
      const { x = "" } = await crypto.subtle.exportKey("jwk", await imported(pkcs8, true));
      return await Credential.#of(await imported(pkcs8, extractable), x);
    } catch {
      throw new UsageError("the text contains no Ed25519 private key in PEM; create a new one");
    }
  }

  static async #of(key: CryptoKey, x: string): Promise<Credential> {
    const publicKey: PublicKey = { kty: "OKP", crv: "Ed25519", x };
    return new Credential(key, publicKey, await siteId(publicKey));
  }

  /**
   * Return the private key in PEM, to be stored where only its owner can read it.
   *
   * @throws UsageError if the key was created or read as not extractable
   */
  async toPem(): Promise<string> {
    if (!this.#key.extractable) throw new UsageError("this key stays in its process");
    const pkcs8 = base64(new Uint8Array(await crypto.subtle.exportKey("pkcs8", this.#key)));
    const lines = pkcs8.match(/.{1,64}/g) ?? [];
    return ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n");
  }

  /** Create a token for one request, valid for a minute. */
  async sign(
    method: string,
    origin: string,
    target: string,
    body: Uint8Array,
    token: TokenIdentity = { iat: Math.floor(Date.now() / 1000), jti: randomText() },
  ): Promise<string> {
    const claims = {
      iss: this.id,
      sub: this.id,
      aud: origin,
      iat: token.iat,
      exp: token.iat + TOKEN_SECONDS,
      jti: token.jti,
      htm: method.toUpperCase(),
      htu: target,
      body_sha256: await sha256(body),
    };
    const parts = [{ alg: "EdDSA", typ: "JWT" }, claims];
    const signed = parts.map((part) => base64url(encoder.encode(JSON.stringify(part)))).join(".");
    const signature = await crypto.subtle.sign(ALGORITHM, this.#key, encoder.encode(signed));
    return `${signed}.${base64url(new Uint8Array(signature))}`;
  }
}

function imported(pkcs8: Uint8Array<ArrayBuffer>, extractable: boolean): Promise<CryptoKey> {
  return crypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, extractable, ["sign"]);
}

/** Return 24 random bytes in base64url. */
export function randomText(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(24)));
}

/** Return the 32 raw bytes of a public key. */
export function rawPublicKey(key: PublicKey): Uint8Array<ArrayBuffer> {
  const raw = /^[A-Za-z0-9_-]{43}$/.test(key.x) ? fromBase64(key.x) : new Uint8Array();
  if (raw.length !== 32) throw new UsageError("the public key is not an Ed25519 key of 32 bytes in base64url");
  return raw;
}

/** Return the name of a key's holder: 40 bits of the SHA-256 of the raw key, in base32. */
export async function siteId(key: PublicKey): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", rawPublicKey(key));
  const bits = Array.from(new Uint8Array(hash).subarray(0, 5), (byte) => byte.toString(2).padStart(8, "0"));
  const groups = bits.join("").match(/.{5}/g) ?? [];
  return `site-${groups.map((group) => BASE32[parseInt(group, 2)]).join("")}`;
}

/** Return the fingerprint of a key: SHA-256 of its 32 raw bytes, as 64 hexadecimal digits. */
export async function fingerprint(key: PublicKey): Promise<string> {
  return sha256(rawPublicKey(key));
}

/** Return whether a signature of these bytes is by this key. */
export async function isSignedBy(key: PublicKey, data: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const held = await crypto.subtle.importKey("raw", rawPublicKey(key), ALGORITHM, false, ["verify"]);
  return crypto.subtle.verify(ALGORITHM, held, bytes(signature), bytes(data));
}
