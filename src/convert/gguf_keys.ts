/**
 * Typed access to the keys of a GGUF file.
 * @module
 */
import { FormatError, quoted } from "../format/error.ts";
import type { Gguf, GgufValue } from "../format/gguf/read.ts";

/** Typed access to the keys of a file. */
export interface Keys {
  text(key: string, fallback?: string): string;
  number(key: string, fallback?: number): number;
  texts(key: string): readonly string[];
  numbers(key: string): readonly number[];
  has(key: string): boolean;
  fail(problem: string): never;
}

/** The keys of a file; errors call it `name`. */
export function keysOf({ keys }: Gguf, name: string): Keys {
  const fail = (problem: string): never => {
    throw new FormatError("metadata", name, problem);
  };
  const get = <T extends GgufValue>(
    key: string,
    what: string,
    fits: (value: GgufValue) => boolean,
    fallback?: T,
  ): T => {
    const value = keys.get(key) ?? fallback;
    if (value === undefined) return fail(`its key ${quoted(key)} is missing`);
    if (fits(value)) return value as T;
    return fail(`its key ${quoted(key)} must be ${what}`);
  };
  const list = (type: string) => (value: GgufValue) =>
    Array.isArray(value) && value.every((v) => typeof v === type);
  return {
    fail,
    has: (key) => keys.has(key),
    text: (key, fallback) =>
      get<string>(key, "a text", (v) => typeof v === "string", fallback),
    number: (key, fallback) =>
      get<number>(key, "a finite number", Number.isFinite, fallback),
    texts: (key) => get<string[]>(key, "a list of texts", list("string")),
    numbers: (key) => get<number[]>(key, "a list of numbers", list("number")),
  };
}
