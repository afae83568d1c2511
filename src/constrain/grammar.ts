/**
 * Context-free grammars over bytes, parsed one byte at a time: which bytes may come
 * next, and the fewest bytes that must follow. A grammar is a list of rules. A parser
 * state is a set of stacks of expected items. States are cached with their
 * transitions, so parsing a whole vocabulary costs one table look-up per byte.
 *
 * ```text
 * rule 0   alternatives   [ "{" 1 "}" ]
 * rule 1                  [ '"' 2 1 ]  [ ]        a rule may call itself at its end
 * ```
 * @module
 */
import type { Spend } from "../platform/budget.ts";

/** An item of an alternative: a range of bytes, or a rule by its index. */
export type Item = { readonly from: number; readonly to: number } | number;

/** The alternatives of a rule. */
export type Rule = readonly (readonly Item[])[];

/** A parser state. */
export interface State {
  /** Fewest bytes that must follow; 0 where the text may end here. */
  readonly need: number;
  /** Whether another byte may follow. */
  readonly open: boolean;
  /** The state after `byte`; undefined where the byte is not allowed. */
  next(byte: number): State | undefined;
}

/** A stack frame: the rest of an alternative, then `below`. */
interface Frame {
  readonly id: number;
  readonly items: readonly Item[];
  readonly at: number;
  readonly below: Frame | undefined;
  /** Fewest bytes of the frame and all below. */
  readonly need: number;
}

/** Lengths of an alternative. */
interface Row {
  readonly id: number;
  /** Minimum number of bytes from each item to the end. */
  readonly needs: Float64Array;
}

/** Budget steps of a state, besides its stacks. */
const STATE_STEPS = 4;

/** Most cached states and frames, about 500 bytes each; the cache is cleared when it is full. */
const MOST_KNOWN = 50_000;

// long because its functions share the cache of states
/**
 * The initial state of rule 0 of `rules`. The number of stacks can grow
 * exponentially (ten nested arrays of one of four types each have a million
 * prefixes), so `spend` is called with the stacks visited, here and in all later
 * states; it may throw.
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

  /** Expands rules on top of the stacks until each top is a byte range. */
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
    // 16 rows of 16, allocated when needed: most states allow one byte.
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

/** Lengths of alternatives, computed at first use. */
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

/**
 * Length of the shortest text of each rule in bytes; Infinity if it has no
 * finite text.
 */
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
  // Last rules first: a rule is created before the rules it refers to.
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
