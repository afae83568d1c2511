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

/**
 * The place before the first byte of a text that follows rule 0 of `rules`.
 * Alternatives that begin alike multiply: ten arrays within each other, each of
 * one of four kinds, have a million ways to begin. So `spend` hears of the stacks
 * that are gone through, here and in every place behind; it may throw.
 */
export function start(
  rules: readonly Rule[],
  spend: (stacks: number) => void = () => {},
): State {
  const shortest = shortestTexts(rules);
  const needOf = (item: Item) => typeof item === "number" ? shortest[item] : 1;
  const frames = new Map<string, Frame>(), states = new Map<string, State>();
  const numbers = new Map<readonly Item[], number>();

  function frame(
    items: readonly Item[],
    at: number,
    below: Frame | undefined,
  ): Frame | undefined {
    if (at === items.length) return below;
    let number = numbers.get(items);
    if (number === undefined) numbers.set(items, number = numbers.size);
    const key = `${number} ${at} ${below?.id ?? ""}`;
    let known = frames.get(key);
    if (!known) {
      let need = below?.need ?? 0;
      for (let i = at; i < items.length; i++) need += needOf(items[i]);
      known = { id: frames.size, items, at, below, need };
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
    const after: (State | null | undefined)[] = new Array(256);
    return {
      need: end ? 0 : bytes.reduce((n, f) => Math.min(n, f.need), Infinity),
      open: bytes.length > 0,
      next(byte) {
        let next = after[byte];
        if (next === undefined) {
          spend(bytes.length >> 3);
          const moved = bytes.filter(({ items, at }) => {
            const { from, to } = items[at] as Exclude<Item, number>;
            return from <= byte && byte <= to;
          });
          next = moved.length === 0
            ? null
            : state(moved.map((f) => frame(f.items, f.at + 1, f.below))) ??
              null;
          after[byte] = next;
        }
        return next ?? undefined;
      },
    };
  }

  return state([frame([0], 0, undefined)])!;
}

/** Bytes of the shortest text of each rule; Infinity where it has none that ends. */
export function shortestTexts(rules: readonly Rule[]): number[] {
  const shortest = new Array<number>(rules.length).fill(Infinity);
  for (let changed = true; changed;) {
    changed = false;
    for (const [i, rule] of rules.entries()) {
      for (const items of rule) {
        let length = 0;
        for (const item of items) {
          length += typeof item === "number" ? shortest[item] : 1;
        }
        if (length < shortest[i]) shortest[i] = length, changed = true;
      }
    }
  }
  return shortest;
}
