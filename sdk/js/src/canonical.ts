/** Canonical JSON and hashes, equal to those of the Python package. */

import { UsageError } from "./errors.js";

const encoder = new TextEncoder();

/** A value that JSON can hold. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

/**
 * Return JSON with sorted keys, without spaces, in UTF-8: the form that is hashed and signed.
 *
 * JavaScript has one type of number: a whole number is written without a decimal point, also where
 * Python holds it as a float. Bytes that another program made are therefore hashed as they are, and
 * never parsed and written again.
 */
export function canonicalJson(value: unknown): Uint8Array {
  return encoder.encode(written(value));
}

function written(value: unknown): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return writtenNumber(value);
  if (typeof value === "string") return writtenText(value);
  if (Array.isArray(value)) return `[${value.map(written).join(",")}]`;
  if (typeof value !== "object") throw new UsageError(`JSON has no ${typeof value}`);
  const entries = Object.entries(value).filter(([, held]) => held !== undefined);
  entries.sort(([a], [b]) => byCodePoint(a, b));
  return `{${entries.map(([name, held]) => `${writtenText(name)}:${written(held)}`).join(",")}}`;
}

function writtenText(text: string): string {
  if (!text.isWellFormed()) throw new UsageError("the text has half of a surrogate pair");
  return JSON.stringify(text);
}

/** Write a number as Python does: an exponent below 1e-4 and from 1e16 on, with two digits. */
function writtenNumber(value: number): string {
  if (!Number.isFinite(value)) throw new UsageError("JSON has no NaN and no infinity");
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  if (value === 0 || (size >= 1e-4 && size < 1e16)) return String(value);
  const [digits = "", exponent = ""] = value.toExponential().split("e");
  return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
}

const SURROGATE = /[\ud800-\udfff]/;

function byCodePoint(a: string, b: string): number {
  if (!SURROGATE.test(a) && !SURROGATE.test(b)) return a < b ? -1 : Number(a > b); // units are code points
  const left = Array.from(a, (c) => c.codePointAt(0) ?? 0);
  const right = Array.from(b, (c) => c.codePointAt(0) ?? 0);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Return the SHA-256 of bytes as 64 hexadecimal digits. */
export async function sha256(data: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes(data)));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Return the SHA-256 of the canonical JSON of a value. */
export async function digest(value: unknown): Promise<string> {
  return sha256(canonicalJson(value));
}

/** Return bytes over a plain buffer, as WebCrypto and fetch need them. */
export function bytes(data: Uint8Array): Uint8Array<ArrayBuffer> {
  return data.buffer instanceof ArrayBuffer
    ? (data as Uint8Array<ArrayBuffer>)
    : new Uint8Array(data);
}

/** Encode bytes in base64url without padding. */
export function base64url(data: Uint8Array): string {
  return base64(data).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Encode bytes in base64. */
export function base64(data: Uint8Array): string {
  let text = "";
  for (let i = 0; i < data.length; i += 0x8000) {
    text += String.fromCharCode(...data.subarray(i, i + 0x8000));
  }
  return btoa(text);
}

/** Decode base64 or base64url, with or without padding. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const plain = text.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(plain), (c) => c.charCodeAt(0));
}
