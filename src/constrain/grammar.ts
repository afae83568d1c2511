/**
 * Context-free grammars over bytes, read one byte at a time: which bytes may
 * come next, and how many must at least come yet. A grammar is a list of rules;
 * a place in it is a set of stacks of what is still expected, and becomes a
 * numbered state with its transitions remembered, so that going through a whole
 * vocabulary costs one table look-up per byte.
 *
 * ```text
 * rule 0   alternatives   [ "{" 1 "}" ]
 * rule 1                  [ '"' 2 1 ]  [ ]        a rule may call itself at its end
 * ```
 * @module
 */
import type { Spend } from "../platform/budget.ts";

/** What an alternative is made of: a range of bytes, or a rule by its number. */
export type Item = { readonly from: number; readonly to: number } | number;

/** The alternatives of a rule. */
export type Rule = readonly (readonly Item[])[];

/** A place in a text that follows a grammar. */
export interface State {
  /** Bytes that must at least follow; 0 where the text may end here. */
  readonly need: number;
  /** Whether anything may follow. */
  readonly open: boolean;
  /** The place after `byte`; undefined where that may not come. */
  next(byte: number): State | undefined;
}

/** What is expected behind what is expected: the rest of an alternative, then `below`. */
interface Frame {
  readonly id: number;
  readonly items: readonly Item[];
  readonly at: number;
  readonly below: Frame | undefined;
  /** Fewest bytes of all of it. */
  readonly need: number;
}

/** An alternative that was gone into. */
interface Row {
  readonly id: number;
  /** Fewest bytes from each item on. */
  readonly needs: Float64Array;
}

/** Steps that a state takes beside its stacks. */
const STATE_STEPS = 4;

/** States and frames that are remembered, some 500 bytes each; beyond, all are made anew when needed. */
const MOST_KNOWN = 50_000;

// long because its functions share the states that are known
/**
 * The place before the first byte of a text that follows rule 0 of `rules`.
 * Alternatives that begin alike multiply: ten arrays within each other, each of
 * one of four kinds, have a million ways to begin. So `spend` hears of the stacks
 * that are gone through, here and in every place behind; it may throw.
 */
export function start(
  rules: readonly Rule[],
  spend: Spend = () => {},
): State {
  const frames = new Map<string, Frame>(), states = new Map<string, State>();
  const rowOf = rowsOf(shortestTexts(rules), spend);
  let nextFrame = 0;

  function frame(
    items: readonly Item[],
    at: number,
    below: Frame | undefined,
  ): Frame | undefined {
    if (at === items.length) return below;
    const { id, needs } = rowOf(items);
    const key = `${id} ${at} ${below?.id ?? ""}`;
    let known = frames.get(key);
    if (!known) {
      const need = (below?.need ?? 0) + needs[at];
      known = { id: nextFrame++, items, at, below, need };
      frames.set(key, known);
    }
    return known;
  }

  /** Replaces rules on top of stacks by their alternatives until bytes are on top. */
  function state(tops: Iterable<Frame | undefined>): State | undefined {
    const todo = [...tops], seen = new Set<Frame | undefined>(todo);
    const bytes: Frame[] = [];
    while (todo.length > 0) {
      const top = todo.pop();
      spend(1);
      if (top === undefined) continue;
      const item = top.items[top.at];
      if (typeof item !== "number") {
        bytes.push(top);
        continue;
      }
      const below = frame(top.items, top.at + 1, top.below);
      for (const items of rules[item]) {
        const expected = frame(items, 0, below);
        if (!seen.has(expected)) seen.add(expected), todo.push(expected);
      }
    }
    const end = seen.has(undefined);
    if (bytes.length === 0 && !end) return undefined;
    bytes.sort((a, b) => a.id - b.id);
    const key = `${end} ${bytes.map((f) => f.id)}`;
    let known = states.get(key);
    if (!known) states.set(key, known = stateOf(bytes, end));
    return known;
  }

  function stateOf(bytes: readonly Frame[], end: boolean): State {
    spend(STATE_STEPS);
    // 16 rows of 16, made when needed: most states have one byte to go on.
    const after: (State | null | undefined)[][] = new Array(16);
    return {
      need: end ? 0 : bytes.reduce((n, f) => Math.min(n, f.need), Infinity),
      open: bytes.length > 0,
      next(byte) {
        const row = after[byte >> 4] ??= new Array(16);
        let next = row[byte & 15];
        if (next === undefined) {
          spend(bytes.length >> 3);
          if (states.size + frames.size > MOST_KNOWN) {
            states.clear();
            frames.clear();
          }
          const moved = bytes.filter(({ items, at }) => {
            const { from, to } = items[at] as Exclude<Item, number>;
            return from <= byte && byte <= to;
          });
          next = moved.length === 0
            ? null
            : state(moved.map((f) => frame(f.items, f.at + 1, f.below))) ??
              null;
          row[byte & 15] = next;
        }
        return next ?? undefined;
      },
    };
  }

  return state([frame([0], 0, undefined)])!;
}

/** Rows of alternatives, each made when it is first gone into. */
function rowsOf(
  shortest: readonly number[],
  spend: Spend,
): (items: readonly Item[]) => Row {
  const known = new Map<readonly Item[], Row>();
  return (items) => {
    let row = known.get(items);
    if (row) return row;
    spend(items.length >> 3);
    const needs = new Float64Array(items.length + 1);
    for (let i = items.length - 1; i >= 0; i--) {
      const item = items[i];
      needs[i] = needs[i + 1] + (typeof item === "number" ? shortest[item] : 1);
    }
    known.set(items, row = { id: known.size, needs });
    return row;
  };
}

/** Bytes of the shortest text of each rule; Infinity where it has none that ends. */
export function shortestTexts(
  rules: readonly Rule[],
  spend: Spend = () => {},
): number[] {
  const shortest = new Array<number>(rules.length).fill(Infinity);
  const users: number[][] = rules.map(() => []);
  for (const [i, rule] of rules.entries()) {
    for (const items of rule) {
      for (const item of items) {
        if (typeof item === "number") users[item].push(i);
      }
    }
  }
  // The last rules first: a rule is made before those it is made of.
  const waiting = new Set(rules.keys()), todo = [...waiting];
  for (let i = todo.pop(); i !== undefined; i = todo.pop()) {
    waiting.delete(i);
    let least = shortest[i];
    for (const items of rules[i]) {
      spend(1 + (items.length >> 3));
      let length = 0;
      for (const item of items) {
        length += typeof item === "number" ? shortest[item] : 1;
      }
      least = Math.min(least, length);
    }
    if (least === shortest[i]) continue;
    shortest[i] = least;
    for (const user of users[i]) {
      if (!waiting.has(user)) waiting.add(user), todo.push(user);
    }
  }
  return shortest;
}
