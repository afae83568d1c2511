/**
 * Fields of the JSON objects in a model file: allowed values, meaning, and a reader
 * that treats the file as untrusted input. The TypeScript type of an object is
 * derived from the table of its fields.
 * @module
 */
import { quoted } from "../format/error.ts";
import type { StrictJson } from "../format/strict_json.ts";
import { hadamardMatrix } from "../tensor/hadamard.ts";
import type { Rotation } from "../tensor/rotation.ts";
import { RuntimeError, type RuntimeErrorCode } from "./error.ts";
import type { Phase } from "./phase.ts";

/** Largest width, row count or vocabulary a graph may name. */
export const MAX_SIZE = 2 ** 24;

/** When an optional field is allowed. */
export interface Rules {
  readonly phase?: Phase;
  /** Another field that must be present. */
  readonly with?: string;
  /** Fields that must be absent. */
  readonly without?: readonly string[];
}

/** One field of an object. */
export interface Field<T = unknown> {
  /** Allowed values, for error messages and docs/format.md. */
  readonly wish: string;
  /** Meaning, for docs/format.md; shapes as [rows, columns]. */
  readonly about: string;
  /** Whether it names values of other nodes, or a tensor of the file. */
  readonly names?: "values" | "tensor";
  readonly optional?: true;
  readonly rules?: Rules;
  /** Its value; undefined where the JSON is not an allowed value. */
  read(json: StrictJson): T | undefined;
}

/** Fields by name. */
export type Fields = Readonly<Record<string, Field>>;

/** A type with its properties written out. */
type Flat<T> = { [K in keyof T]: T[K] };

type Value<F> = F extends Field<infer T> ? T : never;

type OptionalKeys<F> = {
  [K in keyof F]: F[K] extends { readonly optional: true } ? K : never;
}[keyof F];

/** The type of an object with these fields. */
export type ObjectOf<F extends Fields> = Flat<
  & { readonly [K in Exclude<keyof F, OptionalKeys<F>>]: Value<F[K]> }
  & { readonly [K in OptionalKeys<F>]?: Value<F[K]> }
>;

/** Creates a field of one kind from its meaning. */
type Kind<T> = (about: string) => Field<T>;

const kind =
  <T>(wish: string, fits: (v: StrictJson) => boolean): Kind<T> => (about) => ({
    wish,
    about,
    read: (v) => fits(v) ? v as T : undefined,
  });

const isWhole = (v: StrictJson, least: number, most: number): boolean =>
  typeof v === "number" && Number.isInteger(v) && v >= least && v <= most;

const whole = (least: number, most: number) =>
  kind<number>(
    `a whole number from ${least} to ${most}`,
    (v) => isWhole(v, least, most),
  );

/** A width or a count of rows or heads, from 1. */
export const size: Kind<number> = whole(1, MAX_SIZE);

/** A column index or a count, from 0. */
export const offset: Kind<number> = whole(0, MAX_SIZE);

/** A small number of rows, from 0. */
export const count: Kind<number> = whole(0, 4096);

/** A small side length, from 1. */
export const side: Kind<number> = whole(1, 1024);

/** A token id. */
export const tokenId: Kind<number> = kind(
  `a token id below ${MAX_SIZE}`,
  (v) => isWhole(v, 0, MAX_SIZE - 1),
);

/** A number above 0. */
export const positive: Kind<number> = kind(
  "a positive finite number",
  (v) => typeof v === "number" && Number.isFinite(v) && v > 0,
);

/** A name without spaces. */
export const name: Kind<string> = kind(
  "a name of 1 to 200 letters, digits and _ . : / > -",
  (v) => typeof v === "string" && /^[\w.:/>-]{1,200}$/.test(v),
);

/** A text of a prompt. */
export const longText: Kind<string> = kind(
  "a text of at most 1 MB",
  (v) => typeof v === "string" && v.length <= 2 ** 20,
);

/** True or false. */
export const flag: Kind<boolean> = kind(
  "true or false",
  (v) => typeof v === "boolean",
);

/** True; a field of this kind is optional and absent where it is false. */
export const yes: Kind<true> = kind("true", (v) => v === true);

/** One of several strings. */
export const choice = <const T extends string>(
  of: readonly T[],
): Kind<T> =>
  kind(
    of.map((o) => JSON.stringify(o)).join(" or "),
    (v) => of.includes(v as T),
  );

/**
 * A list.
 * @param wish allowed values, for error messages
 * @param fits whether a length is allowed
 */
export const list = <T>(
  wish: string,
  fits: (length: number) => boolean,
  item: Field<T>,
): Kind<readonly T[]> =>
  kind(
    wish,
    (v) =>
      Array.isArray(v) && fits(v.length) &&
      v.every((x) => item.read(x) !== undefined),
  );

/** The field as an optional one. */
export const optional = <F extends Field>(
  field: F,
  rules: Rules = {},
): F & { readonly optional: true } => ({ ...field, optional: true, rules });

/** The id of a node whose value is used. */
export const value: Kind<string> = (about) => ({
  ...name(about),
  names: "values",
});

/** Ids of nodes whose values are used. */
export const values: Kind<readonly string[]> = (about) => ({
  ...list("a list of 1 to 64 names", (n) => n >= 1 && n <= 64, name(""))(about),
  names: "values",
});

/** The name of a tensor of the file. */
export const tensor: Kind<string> = (about) => ({
  ...name(about),
  names: "tensor",
});

/** A randomised block Hadamard matrix (`Rotation`). */
export const rotation: Kind<Rotation> = (about) => ({
  wish:
    "a rotation {n, block, order, outer?, seed} whose block divides n and is order·2^p, or outer·order·2^p, with Hadamard matrices of those orders",
  about,
  read: readRotation,
});

function readRotation(v: StrictJson): Rotation | undefined {
  if (!(v instanceof Map)) return undefined;
  const pair = v.has("outer");
  const keys = ["n", "block", "order", "seed", ...pair ? ["outer"] : []];
  const numbers = keys.map((key) => v.get(key));
  const [n, block, order, seed, outer = 1] = numbers as number[];
  if (
    v.size !== keys.length || !numbers.every(Number.isInteger) ||
    [n, block, order, outer].some((x) => x < 1 || x > MAX_SIZE) ||
    seed < 0 || seed >= 2 ** 32
  ) return undefined;
  const power = Math.log2(block / outer / order);
  if (
    n % block !== 0 || order > 256 || outer > 256 ||
    (pair && (order < 4 || outer < 4)) || !Number.isInteger(power) || power < 0
  ) return undefined;
  try {
    hadamardMatrix(order);
    hadamardMatrix(outer);
  } catch {
    return undefined;
  }
  return { n, block, order, ...pair ? { outer } : {}, seed };
}

/** Throws a `RuntimeError` of `code` for a model file; `problem` follows "Cannot read the model:". */
export function fail(code: RuntimeErrorCode, problem: string): never {
  throw new RuntimeError(code, `Cannot read the model: ${problem}`);
}

/**
 * Reads the fields of an object. An unknown field is an error.
 * @param where name of the object in error messages
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
    out[key] = given === undefined ? undefined : field.read(given);
    if (out[key] !== undefined) continue;
    fail(
      code,
      `${where}: ${key} must be ${field.wish}: current value is ${
        given === undefined ? "missing" : shown(given)
      }`,
    );
  }
  return out as ObjectOf<F>;
}

/** A value as error messages show it. */
export function shown(v: StrictJson): string {
  return typeof v === "object" && v !== null ? "an object" : quoted(String(v));
}
