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
  return check({ $ref: name }, value, "");
}

function check(schema: Schema, value: unknown, place: string): Misfit | undefined {
  if (typeof schema["$ref"] === "string") return check(SCHEMAS[schema["$ref"]] as Schema, value, place);
  const choices = (schema["anyOf"] ?? schema["oneOf"]) as readonly Schema[] | undefined;
  if (choices) return closest(choices.map((choice) => check(choice, value, place)));
  if ("const" in schema && value !== schema["const"]) return { place, rule: "const" };
  if (Array.isArray(schema["enum"]) && !schema["enum"].includes(value)) return { place, rule: "enum" };
  if (typeof schema["type"] === "string" && !isOfType(schema["type"], value)) return { place, rule: "type" };
  if (typeof value === "string") return checkText(schema, value, place);
  if (typeof value === "number") return checkNumber(schema, value, place);
  if (Array.isArray(value)) return checkArray(schema, value, place);
  if (typeof value === "object" && value !== null) return checkObject(schema, value, place);
  return undefined;
}

/** Where no choice fits, the misfit deepest inside the value is the most precise. */
function closest(found: readonly (Misfit | undefined)[]): Misfit | undefined {
  if (found.includes(undefined)) return undefined;
  return [...(found as Misfit[])].sort((a, b) => b.place.length - a.place.length)[0];
}

function isOfType(type: string, value: unknown): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}

function checkText(schema: Schema, value: string, place: string): Misfit | undefined {
  const { pattern, minLength, maxLength } = schema as { pattern?: string; minLength?: number; maxLength?: number };
  const length = minLength === undefined && maxLength === undefined ? 0 : Array.from(value).length;
  if (length < (minLength ?? 0) || length > (maxLength ?? Infinity)) return { place, rule: "length" };
  if (pattern !== undefined && !compiled(pattern).test(value)) return { place, rule: "pattern" };
  if (schema["format"] === "date-time" && Number.isNaN(Date.parse(value))) return { place, rule: "format" };
  return undefined;
}

function compiled(pattern: string): RegExp {
  const known = patterns.get(pattern) ?? new RegExp(pattern, "u");
  patterns.set(pattern, known);
  return known;
}

function checkNumber(schema: Schema, value: number, place: string): Misfit | undefined {
  const low = (schema["minimum"] as number | undefined) ?? -Infinity;
  const high = (schema["maximum"] as number | undefined) ?? Infinity;
  const above = (schema["exclusiveMinimum"] as number | undefined) ?? -Infinity;
  const below = (schema["exclusiveMaximum"] as number | undefined) ?? Infinity;
  return value < low || value > high || value <= above || value >= below ? { place, rule: "range" } : undefined;
}

function checkArray(schema: Schema, value: readonly unknown[], place: string): Misfit | undefined {
  const { minItems = 0, maxItems = Infinity, items } = schema as {
    minItems?: number;
    maxItems?: number;
    items?: Schema;
  };
  if (value.length < minItems || value.length > maxItems) return { place, rule: "length" };
  if (!items) return undefined;
  for (const [i, held] of value.entries()) {
    const found = check(items, held, joined(place, String(i)));
    if (found) return found;
  }
  return undefined;
}

function checkObject(schema: Schema, value: object, place: string): Misfit | undefined {
  const known = (schema["properties"] ?? {}) as Readonly<Record<string, Schema>>;
  const missing = ((schema["required"] ?? []) as readonly string[]).find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) return { place: joined(place, missing), rule: "required" };
  for (const [name, held] of Object.entries(value)) {
    const found = Object.hasOwn(known, name)
      ? check(known[name] as Schema, held, joined(place, name))
      : checkFurther(schema, name, held, place);
    if (found) return found;
  }
  return undefined;
}

/** Check a member that is not a named property; its name is foreign, so it is never quoted. */
function checkFurther(schema: Schema, name: string, held: unknown, place: string): Misfit | undefined {
  const at = joined(place, "?");
  const further = schema["additionalProperties"];
  const names = schema["propertyNames"] as Schema | undefined;
  if (further === false) return { place: at, rule: "unknown" };
  const byPattern = Object.entries((schema["patternProperties"] ?? {}) as Readonly<Record<string, Schema>>);
  const fitting = byPattern.find(([pattern]) => compiled(pattern).test(name));
  if (byPattern.length > 0 && !fitting) return { place: at, rule: "unknown" };
  const badName = names && check(names, name, at);
  if (badName) return badName;
  const inner = fitting?.[1] ?? (typeof further === "object" ? (further as Schema) : undefined);
  return inner ? check(inner, held, at) : undefined;
}

function joined(place: string, name: string): string {
  return place ? `${place}.${name}` : name;
}
