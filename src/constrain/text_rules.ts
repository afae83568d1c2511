/**
 * Rules over UTF-8 bytes for literal text, repetition, and JSON strings and numbers
 * (RFC 8259).
 * @module
 */
import type { Spend } from "../platform/budget.ts";
import type { Item, Rule } from "./grammar.ts";

/** Budget steps of a rule, besides its items. */
const RULE_STEPS = 8;

/** Most items that are copied into other rules; longer sequences become a rule. */
const MOST_COPIED = 16;

/** Most digits of a number, so that it is a safe integer. */
const DIGITS = 15;

/** Repetition without a limit. */
export const NO_LIMIT = Infinity;

const BYTES: readonly Item[] = Array.from(
  { length: 256 },
  (_, code) => ({ from: code, to: code }),
);
const byte = (code: number): Item => BYTES[code];
const range = (from: number, to: number): Item => ({ from, to });
const DIGIT = range(0x30, 0x39);

/** A character outside ASCII in UTF-8 (Unicode 16, table 3-7). */
const BEYOND_ASCII: Rule = [
  [range(0xc2, 0xdf), range(0x80, 0xbf)],
  [byte(0xe0), range(0xa0, 0xbf), range(0x80, 0xbf)],
  [range(0xe1, 0xec), range(0x80, 0xbf), range(0x80, 0xbf)],
  [byte(0xed), range(0x80, 0x9f), range(0x80, 0xbf)],
  [range(0xee, 0xef), range(0x80, 0xbf), range(0x80, 0xbf)],
  [byte(0xf0), range(0x90, 0xbf), range(0x80, 0xbf), range(0x80, 0xbf)],
  [range(0xf1, 0xf3), range(0x80, 0xbf), range(0x80, 0xbf), range(0x80, 0xbf)],
  [byte(0xf4), range(0x80, 0x8f), range(0x80, 0xbf), range(0x80, 0xbf)],
];

/** A grammar under construction. */
export interface RuleBook {
  /** All rules so far. */
  readonly rules: readonly Rule[];
  /** Adds a rule; returns its number. */
  rule(alternatives: Rule): number;
  /** Adds a rule whose alternatives may refer to the rule itself. */
  recursive(alternatives: (self: number) => Rule): number;
  /** The items of a literal text. */
  text(text: string): Item[];
  /** The items, or one rule where they are too many to be copied. */
  short(items: readonly Item[]): Item[];
  /** `item` repeated `least` to `most` times. */
  repeat(item: Item, least: number, most: number): Item[];
  /** A JSON string of `least` to `most` characters. */
  string(least: number, most: number): Item[];
  /** A JSON number without an exponent. */
  number(): Item[];
  /** An integer from `least` to `most`. */
  integer(least: number, most: number): Item[];
}

/** A rule by name, created at first use. */
type Once = (name: string, make: () => number) => number;

/** Repetition, with rules shared between uses. */
function repeater(once: Once) {
  const chains = new Map<string, number[]>(); // by item: rules for 0, 1, 2 … repetitions at most
  return (
    book: Pick<RuleBook, "rule" | "recursive">,
    item: Item,
    least: number,
    most: number,
  ): Item[] => {
    const name = JSON.stringify(item);
    const exactly = (n: number): Item[] => {
      if (n <= MOST_COPIED) return Array<Item>(n).fill(item);
      const half = exactly(n >> 1), odd = n % 2 === 1 ? [item] : [];
      return [
        once(`${name}={${n}}`, () => book.rule([[...half, ...half, ...odd]])),
      ];
    };
    const more = most - least;
    if (more === NO_LIMIT) {
      const any = once(
        `${name}*`,
        () => book.recursive((self) => [[item, self], []]),
      );
      return [...exactly(least), any];
    }
    const upTo = chains.get(name) ?? [book.rule([[]])];
    chains.set(name, upTo);
    while (upTo.length <= more) {
      upTo.push(book.rule([[item, upTo.at(-1)!], []]));
    }
    return [...exactly(least), upTo[more]];
  };
}

/** An empty grammar; `spend` is called for every item and rule. */
export function ruleBook(spend: Spend): RuleBook {
  const rules: Rule[] = [];
  const known = new Map<string, number>();
  const once: Once = (name, make) => {
    let rule = known.get(name);
    if (rule === undefined) known.set(name, rule = make());
    return rule;
  };
  const repeat = repeater(once);
  const book: RuleBook = {
    rules,
    rule: (alternatives) => book.recursive(() => alternatives),
    recursive(alternatives) {
      spend(RULE_STEPS);
      const self = rules.push([]) - 1, made = alternatives(self);
      for (const items of made) spend(1 + items.length);
      rules[self] = made;
      return self;
    },
    text(text) {
      spend(text.length);
      return Array.from(new TextEncoder().encode(text), byte);
    },
    short: (items) =>
      items.length > MOST_COPIED ? [book.rule([items])] : [...items],
    repeat: (item, least, most) => repeat(book, item, least, most),
    string(least, most) {
      const character = once("character", () =>
        book.rule([
          [range(0x20, 0x21)],
          [range(0x23, 0x5b)],
          [range(0x5d, 0x7f)],
          ...[...'"\\/bfnrt'].map((c) => book.text(`\\${c}`)),
          ...BEYOND_ASCII,
        ]));
      const quote = book.text('"');
      return [...quote, ...book.repeat(character, least, most), ...quote];
    },
    number() {
      const all = 10 ** DIGITS - 1;
      const fraction = once("fraction", () =>
        book.rule([
          [],
          [...book.text("."), ...book.repeat(DIGIT, 1, DIGITS)],
        ]));
      return [...book.integer(-all, all), fraction];
    },
    integer: (least, most) => [
      once(`integer ${least} ${most}`, () => {
        const from = Math.max(least, -(10 ** DIGITS) + 1);
        const to = Math.min(most, 10 ** DIGITS - 1);
        const minus = book.text("-");
        return book.rule([
          ...(to >= 0 ? digits(Math.max(0, from), to) : []),
          ...(from < 0
            ? digits(Math.max(1, -to), -from).map((d) => [...minus, ...d])
            : []),
        ]);
      }),
    ],
  };
  return book;
}

/** The digits of all integers from `least` ≥ 0 to `most`, without leading zeros. */
function digits(least: number, most: number): Item[][] {
  const out: Item[][] = [];
  for (let length = 1; length <= `${most}`.length; length++) {
    const from = Math.max(least, length === 1 ? 0 : 10 ** (length - 1));
    const to = Math.min(most, 10 ** length - 1);
    if (from <= to) out.push(...sameLength(`${from}`, `${to}`));
  }
  return out;
}

/** The same for numbers with equally many digits. */
function sameLength(from: string, to: string): Item[][] {
  if (from === "") return [[]];
  const digit = (a: number, b: number) => range(0x30 + a, 0x30 + b);
  const [a, b] = [Number(from[0]), Number(to[0])];
  const [low, high] = [from.slice(1), to.slice(1)];
  const [zeros, nines] = ["0".repeat(low.length), "9".repeat(low.length)];
  if (low === zeros && high === nines) {
    return [[digit(a, b), ...Array<Item>(low.length).fill(DIGIT)]];
  }
  if (a === b) return sameLength(low, high).map((d) => [digit(a, a), ...d]);
  return [
    ...sameLength(low, nines).map((d) => [digit(a, a), ...d]),
    ...(a + 1 < b ? sameLength(zeros, nines) : [])
      .map((d) => [digit(a + 1, b - 1), ...d]),
    ...sameLength(zeros, high).map((d) => [digit(b, b), ...d]),
  ];
}
