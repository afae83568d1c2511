/**
 * Which strings of a vocabulary a text begins with at a place.
 * @module
 */
import { budget, type Spend } from "../platform/budget.ts";
import { TokenizerError } from "./error.ts";

/** Steps for each character of a text, and for any text, to look up pieces. */
export const LOOKUP_STEPS = { character: 200, text: 1_000_000 } as const;

/** A budget to look up the pieces of a text of `length` characters; throws `TokenizerError`. */
export function lookups(length: number): Spend {
  const { character, text } = LOOKUP_STEPS;
  return budget({ steps: text + character * length }, () => {
    throw new TokenizerError(
      "Cannot encode the text: looking up its pieces takes too long; shorten it",
    );
  });
}

/** Calls `found` for each string that `text` has at `at`, the shortest first, with where it ends. */
export type Prefixes = (
  text: string,
  at: number,
  spend: Spend,
  found: (id: number, end: number) => void,
) => void;

/**
 * Strings with their ids. They are sorted, so those that begin alike stand
 * together: each further character narrows the range, by bisection.
 */
export function prefixes(strings: ReadonlyMap<string, number>): Prefixes {
  const sorted = [...strings].sort(([a], [b]) => a < b ? -1 : 1);
  const texts = sorted.map(([text]) => text), ids = sorted.map(([, id]) => id);
  const ranges = new Map<number, [from: number, to: number]>(); // by first character
  texts.forEach((text, i) => {
    const range = ranges.get(text.charCodeAt(0));
    if (range) range[1] = i + 1;
    else ranges.set(text.charCodeAt(0), [i, i + 1]);
  });
  /** The first of [from, to) whose character `depth` is at least `code`. */
  const bound = (from: number, to: number, depth: number, code: number) => {
    while (from < to) {
      const middle = (from + to) >> 1;
      if (texts[middle].charCodeAt(depth) < code) from = middle + 1;
      else to = middle;
    }
    return from;
  };
  return (text, at, spend, found) => {
    let [from, to] = ranges.get(text.charCodeAt(at)) ?? [0, 0];
    for (let depth = 1; from < to; depth++) {
      spend(1);
      if (texts[from].length === depth) found(ids[from++], at + depth);
      if (from === to || at + depth >= text.length) return;
      const code = text.charCodeAt(at + depth);
      const same = texts[from].charCodeAt(depth) === code &&
        texts[to - 1].charCodeAt(depth) === code;
      if (same) continue;
      from = bound(from, to, depth, code);
      to = bound(from, to, depth, code + 1);
    }
  };
}

/** End of the longest string that `text` has at `at`, and its id; undefined where there is none. */
export function longest(
  strings: Prefixes,
  text: string,
  at: number,
  spend: Spend,
): { readonly id: number; readonly end: number } | undefined {
  let last: { id: number; end: number } | undefined;
  strings(text, at, spend, (id, end) => last = { id, end });
  return last;
}
