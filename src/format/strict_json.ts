/**
 * A strict JSON parser (RFC 8259) for untrusted files: duplicate keys are
 * refused (`JSON.parse` keeps the last one), objects become `Map`s (no
 * `__proto__`), and nesting and the number of values are limited during
 * parsing.
 * @module
 */

/** A JSON value; objects are maps. */
export type StrictJson =
  | string
  | number
  | boolean
  | null
  | StrictJson[]
  | Map<string, StrictJson>;

/** Limits of `parseStrictJson`. */
export interface StrictJsonLimits {
  /** Maximum nesting of arrays and objects. */
  depth: number;
  /** Maximum number of values. */
  values: number;
  /** Refuse numbers other than non-negative integers up to 2^53 − 1. */
  naturalsOnly?: boolean;
}

/** Invalid JSON, or JSON beyond a limit. */
export class StrictJsonError extends Error {
  /** True if the error is a duplicate key. */
  readonly duplicate: boolean;

  /**
   * Creates the error.
   * @param problem the predicate of a sentence with the subject "it"
   */
  constructor(problem: string, duplicate = false) {
    super(problem);
    this.name = "StrictJsonError";
    this.duplicate = duplicate;
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** Characters that a JSON string cannot contain unescaped. */
const MARK = /["\\]|[^ -\uffff]/g;
/** Strings longer than this are not copied. */
const LONG = 2 ** 20;
const WORDS: [string, boolean | null][] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

// long because a parser is functions over one position in one text
/**
 * Parses `text`.
 * @throws {StrictJsonError}
 */
export function parseStrictJson(
  text: string,
  limits: StrictJsonLimits,
): StrictJson {
  let at = 0, count = 0;

  function fail(wish: string): never {
    const found = at < text.length ? JSON.stringify(text[at]) : "the end";
    throw new StrictJsonError(`has ${found} at character ${at}, not ${wish}`);
  }
  function blank() {
    for (; at < text.length; at++) {
      const c = text.charCodeAt(at);
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return;
    }
  }
  function take(mark: string): boolean {
    if (text[at] !== mark) return false;
    at++;
    blank();
    return true;
  }
  function string(): string {
    const start = at++;
    for (let plain = true;;) {
      MARK.lastIndex = at;
      const mark = MARK.exec(text);
      at = mark?.index ?? text.length;
      if (!mark) fail("a closing quote");
      if (mark[0] === "\\") plain = false, at += 2;
      else if (mark[0] !== '"') fail("a printable character");
      else {
        at++;
        // A slice keeps all of `text` in memory, a string of JSON.parse does not.
        if (plain && at - start > LONG) return text.slice(start + 1, at - 1);
        try {
          return JSON.parse(text.slice(start, at));
        } catch {
          at = start;
          fail("a string with valid escapes");
        }
      }
    }
  }
  function number(): number {
    NUMBER.lastIndex = at;
    const match = NUMBER.exec(text)?.[0];
    if (match === undefined) fail("a value");
    const n = Number(match);
    if (limits.naturalsOnly && !(/^\d+$/.test(match) && n < 2 ** 53)) {
      fail("a whole number from 0 to 2^53 − 1");
    }
    at += match.length;
    return n;
  }
  function object(depth: number): Map<string, StrictJson> {
    const map = new Map<string, StrictJson>();
    if (take("}")) return map;
    do {
      if (text[at] !== '"') fail("a key");
      const key = string();
      if (map.has(key)) {
        throw new StrictJsonError(
          `has the key ${JSON.stringify(key.slice(0, 80))} twice`,
          true,
        );
      }
      blank();
      if (!take(":")) fail('":"');
      map.set(key, value(depth));
      blank();
    } while (take(","));
    if (!take("}")) fail('"," or "}"');
    return map;
  }
  function array(depth: number): StrictJson[] {
    const list: StrictJson[] = [];
    if (take("]")) return list;
    do {
      list.push(value(depth));
      blank();
    } while (take(","));
    if (!take("]")) fail('"," or "]"');
    return list;
  }
  function value(depth: number): StrictJson {
    if (++count > limits.values) {
      throw new StrictJsonError(`has more than ${limits.values} values`);
    }
    if (text[at] === '"') return string();
    if (text[at] === "{" || text[at] === "[") {
      if (depth >= limits.depth) {
        throw new StrictJsonError(`is nested deeper than ${limits.depth}`);
      }
      return take("{") ? object(depth + 1) : (take("["), array(depth + 1));
    }
    for (const [word, meaning] of WORDS) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return meaning;
      }
    }
    return number();
  }

  blank();
  const result = value(0);
  blank();
  if (at < text.length) fail("the end");
  return result;
}

/** Limits of a settings file. */
const SETTINGS = { depth: 32, values: 1_000_000 };

/**
 * Parses a settings file of a checkpoint such as config.json: one object, as
 * plain values.
 * @throws {StrictJsonError}
 */
export function parseSettings(text: string): Record<string, unknown> {
  const json = parseStrictJson(text, SETTINGS);
  if (!(json instanceof Map)) throw new StrictJsonError("is not a JSON object");
  return plain(json) as Record<string, unknown>;
}

/** Converts maps to objects; `__proto__` is a key like any other. */
export function plain(json: StrictJson): unknown {
  if (Array.isArray(json)) return json.map(plain);
  if (!(json instanceof Map)) return json;
  return Object.fromEntries([...json].map(([key, v]) => [key, plain(v)]));
}
