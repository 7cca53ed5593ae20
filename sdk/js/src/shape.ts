/** Check of JSON against the wire shapes of the hub's OpenAPI document; no message quotes a value. */

import { SCHEMAS } from "./schemas.js";

type Schema = Readonly<Record<string, unknown>>;

/** First place of a value that does not fit a shape, and the rule that it breaks. */
export interface Misfit {
  readonly place: string;
  readonly rule: string;
}

const decoder = new TextDecoder("utf-8", { fatal: true });
const patterns = new Map<string, RegExp>();

/**
 * Parse JSON into a wire shape.
 *
 * @throws Error of the given kind; it names place and rule, and no value
 */
export function read<T>(name: string, data: Uint8Array, Refusal: new (message: string) => Error): T {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(data));
  } catch {
    throw new Refusal(`${name} is not JSON in UTF-8`);
  }
  const found = misfit(name, value);
  if (found) throw new Refusal(`${name} does not fit its contract (first at '${found.place}': ${found.rule})`);
  return value as T;
}

/** Return the first misfit of a value, or undefined where it fits the named shape. */
export function misfit(name: string, value: unknown): Misfit | undefined {
  return check({ $ref: name }, value);
}

/** Places are relative to the value and grow on the way up, so that a value that fits costs no text. */
function check(schema: Schema, value: unknown): Misfit | undefined {
  if (typeof schema["$ref"] === "string") return check(SCHEMAS[schema["$ref"]] as Schema, value);
  const choices = (schema["anyOf"] ?? schema["oneOf"]) as readonly Schema[] | undefined;
  if (choices) return closest(choices, value);
  if ("const" in schema && value !== schema["const"]) return here("const");
  if (Array.isArray(schema["enum"]) && !schema["enum"].includes(value)) return here("enum");
  if (typeof schema["type"] === "string" && !isOfType(schema["type"], value)) return here("type");
  if (typeof value === "string") return checkText(schema, value);
  if (typeof value === "number") return checkNumber(schema, value);
  if (Array.isArray(value)) return checkArray(schema, value);
  if (typeof value === "object" && value !== null) return checkObject(schema, value);
  return undefined;
}

function here(rule: string): Misfit {
  return { place: "", rule };
}

function within(name: string, found: Misfit): Misfit {
  return { place: found.place ? `${name}.${found.place}` : name, rule: found.rule };
}

/** Where no choice fits, the misfit deepest inside the value is the most precise. */
function closest(choices: readonly Schema[], value: unknown): Misfit | undefined {
  const found: Misfit[] = [];
  for (const choice of choices) {
    const one = check(choice, value);
    if (one === undefined) return undefined;
    found.push(one);
  }
  return found.sort((a, b) => b.place.length - a.place.length)[0];
}

function isOfType(type: string, value: unknown): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}

function checkText(schema: Schema, value: string): Misfit | undefined {
  const { pattern, minLength = 0, maxLength = Infinity } = schema as { pattern?: string; minLength?: number; maxLength?: number };
  if (!hasLength(value, minLength, maxLength)) return here("length");
  if (pattern !== undefined && !compiled(pattern).test(value)) return here("pattern");
  if (schema["format"] === "date-time" && Number.isNaN(Date.parse(value))) return here("format");
  return undefined;
}

/** Characters are counted as Python does: a pair of surrogates, two units of a text, is one. */
function hasLength(text: string, least: number, most: number): boolean {
  if (text.length >= 2 * least && text.length <= most) return true;
  const length = Array.from(text).length;
  return length >= least && length <= most;
}

function compiled(pattern: string): RegExp {
  const known = patterns.get(pattern);
  if (known) return known;
  const made = new RegExp(pattern, "u");
  patterns.set(pattern, made);
  return made;
}

function checkNumber(schema: Schema, value: number): Misfit | undefined {
  const low = (schema["minimum"] as number | undefined) ?? -Infinity;
  const high = (schema["maximum"] as number | undefined) ?? Infinity;
  const above = (schema["exclusiveMinimum"] as number | undefined) ?? -Infinity;
  const below = (schema["exclusiveMaximum"] as number | undefined) ?? Infinity;
  return value < low || value > high || value <= above || value >= below ? here("range") : undefined;
}

function checkArray(schema: Schema, value: readonly unknown[]): Misfit | undefined {
  const { minItems = 0, maxItems = Infinity, items } = schema as {
    minItems?: number;
    maxItems?: number;
    items?: Schema;
  };
  if (value.length < minItems || value.length > maxItems) return here("length");
  if (!items) return undefined;
  for (let i = 0; i < value.length; i++) {
    const found = check(items, value[i]);
    if (found) return within(String(i), found);
  }
  return undefined;
}

function checkObject(schema: Schema, value: object): Misfit | undefined {
  const known = (schema["properties"] ?? {}) as Readonly<Record<string, Schema>>;
  const missing = ((schema["required"] ?? []) as readonly string[]).find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) return within(missing, here("required"));
  for (const [name, held] of Object.entries(value)) {
    const isKnown = Object.hasOwn(known, name);
    const found = isKnown ? check(known[name] as Schema, held) : checkFurther(schema, name, held);
    if (found) return within(isKnown ? name : "?", found);
  }
  return undefined;
}

/** Check a member that is not a named property; its name is foreign, so it is never quoted. */
function checkFurther(schema: Schema, name: string, held: unknown): Misfit | undefined {
  const further = schema["additionalProperties"];
  const names = schema["propertyNames"] as Schema | undefined;
  if (further === false) return here("unknown");
  const byPattern = Object.entries((schema["patternProperties"] ?? {}) as Readonly<Record<string, Schema>>);
  const fitting = byPattern.find(([pattern]) => compiled(pattern).test(name));
  if (byPattern.length > 0 && !fitting) return here("unknown");
  const badName = names && check(names, name);
  if (badName) return badName;
  const inner = fitting?.[1] ?? (typeof further === "object" ? (further as Schema) : undefined);
  return inner ? check(inner, held) : undefined;
}
