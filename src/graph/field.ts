/**
 * Fields of the JSON objects in a model file: what a value must be, what it
 * means, and how it is read as if an enemy wrote it. The type of an object
 * follows from the table of its fields.
 * @module
 */
import { quoted } from "../format/error.ts";
import type { StrictJson } from "../format/strict_json.ts";
import { hadamardMatrix } from "../tensor/hadamard.ts";
import type { Rotation } from "../tensor/rotation.ts";
import { RuntimeError, type RuntimeErrorCode } from "./error.ts";

/** Largest width, row count or vocabulary a graph may name. */
export const MAX_SIZE = 2 ** 24;

/** One field of an object. */
export interface Field<T = unknown> {
  /** What its value must be, for messages and for docs/format.md. */
  readonly wish: string;
  /** What it means, for docs/format.md; shapes as [rows, columns]. */
  readonly about: string;
  /** It names values that other nodes make, or tensors of the file. */
  readonly names?: "values" | "tensor";
  readonly optional?: true;
  /** Its value; undefined where that is not as wished. */
  read(json: StrictJson): T | undefined;
}

/** Fields by name. */
export type Fields = Readonly<Record<string, Field>>;

/** A type with its properties written out. */
type Flat<T> = { [K in keyof T]: T[K] };

type Value<F> = F extends Field<infer T> ? T : never;

/** The object that has these fields. */
export type ObjectOf<F extends Fields> = Flat<
  & {
    readonly [
      K in keyof F as F[K] extends { readonly optional: true } ? never : K
    ]: Value<F[K]>;
  }
  & {
    readonly [
      K in keyof F as F[K] extends { readonly optional: true } ? K : never
    ]?: Value<F[K]>;
  }
>;

const whole = (least: number, most: number, about: string): Field<number> => ({
  wish: `a whole number from ${least} to ${most}`,
  about,
  read: (v) =>
    typeof v === "number" && Number.isInteger(v) && v >= least && v <= most
      ? v
      : undefined,
});

/** A width, a number of rows or heads. */
export const size = (about: string): Field<number> => whole(1, MAX_SIZE, about);

/** A small number of rows; none is allowed. */
export const count = (about: string): Field<number> => whole(0, 4096, about);

/** A small length along one side. */
export const side = (about: string): Field<number> => whole(1, 1024, about);

/** A number above 0. */
export const positive = (about: string): Field<number> => ({
  wish: "a positive finite number",
  about,
  read: (v) =>
    typeof v === "number" && Number.isFinite(v) && v > 0 ? v : undefined,
});

/** A name without blanks. */
export const name = (about: string): Field<string> => ({
  wish: "a name of 1 to 200 letters, digits and _ . : / > -",
  about,
  read: (v) =>
    typeof v === "string" && /^[\w.:/>-]{1,200}$/.test(v) ? v : undefined,
});

/** The id of a node whose value is taken. */
export const value = (
  about: string,
): Field<string> & { readonly names: "values" } => ({
  ...name(about),
  names: "values",
});

/** Ids of nodes whose values are taken. */
export const values = (
  about: string,
): Field<readonly string[]> & { readonly names: "values" } => ({
  ...list("a list of 1 to 64 names", about, (n) => n >= 1 && n <= 64, name("")),
  names: "values",
});

/** The name of a tensor of the file. */
export const tensor = (
  about: string,
): Field<string> & { readonly names: "tensor" } => ({
  ...name(about),
  names: "tensor",
});

/** A text for a prompt. */
export const longText = (about: string): Field<string> => ({
  wish: "a text of at most 1 MB",
  about,
  read: (v) => typeof v === "string" && v.length <= 2 ** 20 ? v : undefined,
});

/** True or false. */
export const flag = (about: string): Field<boolean> => ({
  wish: "true or false",
  about,
  read: (v) => typeof v === "boolean" ? v : undefined,
});

/** True, or absent: always optional. */
export const yes = (
  about: string,
): Field<true> & { readonly optional: true } =>
  optional({ wish: "true", about, read: (v) => v === true ? v : undefined });

/** One of some words. */
export const choice = <const T extends string>(
  of: readonly T[],
  about: string,
): Field<T> => ({
  wish: of.map((o) => JSON.stringify(o)).join(" or "),
  about,
  read: (v) => of.find((o) => o === v),
});

/** A list of items; `fits` says which lengths it may have. */
export function list<T>(
  wish: string,
  about: string,
  fits: (length: number) => boolean,
  item: Field<T>,
): Field<readonly T[]> {
  return {
    wish,
    about,
    read: (v) =>
      Array.isArray(v) && fits(v.length) &&
        v.every((x) => item.read(x) !== undefined)
        ? v as T[]
        : undefined,
  };
}

/** A field that may be missing. */
export function optional<F extends Field>(
  field: F,
): F & { readonly optional: true } {
  return { ...field, optional: true };
}

/** A randomised block Hadamard matrix (`Rotation`). */
export const rotation = (about: string): Field<Rotation> => ({
  wish:
    "a rotation {n, block, order, outer?, seed} whose block divides n and is order·2^p, or outer·order·2^p, with Hadamard matrices of those orders",
  about,
  read: readRotation,
});

function readRotation(v: StrictJson): Rotation | undefined {
  if (!(v instanceof Map)) return undefined;
  const pair = v.has("outer");
  if (v.size !== (pair ? 5 : 4)) return undefined;
  const of = (key: string) => size("").read(v.get(key) ?? null);
  const n = of("n"), block = of("block"), order = of("order");
  const second = pair ? of("outer") : 1, seed = v.get("seed");
  if (
    n === undefined || block === undefined || order === undefined ||
    second === undefined || typeof seed !== "number" ||
    !Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32
  ) return undefined;
  const power = block / second / order;
  if (
    n % block !== 0 || order > 256 || second > 256 ||
    (pair && (order < 4 || second < 4)) ||
    power < 1 || !Number.isInteger(Math.log2(power))
  ) return undefined;
  try {
    hadamardMatrix(order);
    hadamardMatrix(second);
  } catch {
    return undefined;
  }
  return { n, block, order, ...pair ? { outer: second } : {}, seed };
}

/** Refuses a model. */
export function fail(code: RuntimeErrorCode, problem: string): never {
  throw new RuntimeError(code, `Cannot read the model: ${problem}`);
}

/**
 * Reads `fields` out of an object; any other field is refused.
 * @param where what messages call the object
 * @throws {RuntimeError} of `code`
 */
export function readFields<F extends Fields>(
  code: RuntimeErrorCode,
  where: string,
  json: ReadonlyMap<string, StrictJson>,
  fields: F,
): ObjectOf<F> {
  const out: Record<string, unknown> = {};
  for (const key of json.keys()) {
    if (!Object.hasOwn(fields, key)) {
      fail(code, `${where} has an unknown field ${quoted(key)}`);
    }
  }
  for (const [key, field] of Object.entries(fields)) {
    const given = json.get(key);
    if (given === undefined && field.optional) continue;
    const value = given === undefined ? undefined : field.read(given);
    if (value === undefined) {
      fail(
        code,
        `${where}: ${key} must be ${field.wish}: current value is ${
          given === undefined ? "missing" : shown(given)
        }`,
      );
    }
    out[key] = value;
  }
  return out as ObjectOf<F>;
}

/** A value as messages show it. */
export function shown(v: StrictJson): string {
  return typeof v === "object" && v !== null ? "an object" : quoted(String(v));
}
