/**
 * Fields of a request, each checked for its type and range. As in OpenAI's
 * interface, null means "not given".
 * @module
 */
import { ApiError, shown } from "./error.ts";

/** A JSON object. */
export type Fields = Readonly<Record<string, unknown>>;

/** Range of a number. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Throws an `ApiError` about `param`. */
export function refuse(
  param: string,
  wish: string,
  value: unknown,
  code: "invalid_type" | "invalid_value" = "invalid_value",
): never {
  throw new ApiError(
    code,
    `Cannot answer: ${param} must be ${wish}: it is ${shown(value)}`,
    param,
  );
}

/** Returns `value` as an object; throws if it is none. */
export function object(value: unknown, param: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    refuse(param, "an object", value, "invalid_type");
  }
  return value as Fields;
}

/** Returns `value` as a list of `min` to `max` elements; throws if it is none. */
export function list(
  value: unknown,
  param: string,
  { min, max }: Range,
): readonly unknown[] {
  const wish = `a list of ${min} to ${max}`;
  if (!Array.isArray(value)) refuse(param, wish, value, "invalid_type");
  if (value.length < min || value.length > max) refuse(param, wish, value);
  return value;
}

/** Reads a number within `range`; undefined if absent. */
export function number(
  fields: Fields,
  name: string,
  range: Range,
): number | undefined {
  return numeric(fields, name, range, "a number", Number.isFinite);
}

/** Reads an integer within `range`; undefined if absent. */
export function integer(
  fields: Fields,
  name: string,
  range: Range,
): number | undefined {
  return numeric(fields, name, range, "a whole number", Number.isSafeInteger);
}

function numeric(
  fields: Fields,
  name: string,
  { min, max }: Range,
  kind: string,
  good: (value: number) => boolean,
): number | undefined {
  const value = own(fields, name);
  if (value === undefined) return undefined;
  const wish = `${kind} from ${min} to ${max}`;
  if (typeof value !== "number") refuse(name, wish, value, "invalid_type");
  if (!good(value) || value < min || value > max) refuse(name, wish, value);
  return value;
}

/** Reads a boolean; undefined if absent. */
export function boolean(fields: Fields, name: string): boolean | undefined {
  const value = own(fields, name);
  if (value === undefined || typeof value === "boolean") return value;
  return refuse(name, "true or false", value, "invalid_type");
}

/** The field; undefined if it is missing or null. */
export function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] ?? undefined : undefined;
}
