/**
 * Matches regular expressions in time linear in the text, for every pattern.
 * JavaScript's own engine backtracks: `a+b` is tried from every letter to the
 * end of the text. Patterns come from model files and texts from requests, so
 * the work must be bounded. Alternatives are tried in JavaScript's order and
 * the matches are equal. If two attempts reach the same instruction at the same
 * character, their continuations are equal, so a failed pair is remembered and
 * not tried again, also for later starting points (Norvig 1991; RE2's "bit
 * state"). Lookarounds are evaluated for all positions in one pass over the
 * text.
 * @module
 */
import { budget, type Spend } from "../platform/budget.ts";
import { TokenizerError } from "./error.ts";
import { parsePattern } from "./regex_parse.ts";
import {
  compilePattern,
  inOrder,
  type Look,
  OP,
  type Program,
} from "./regex_program.ts";

/**
 * Returns the starts and ends of all non-empty matches, in UTF-16 units, in one
 * list.
 */
export type Matcher = (text: string) => number[];

/**
 * Step limit: per character, and per text; the patterns of real tokenizers take
 * up to 60 per character.
 */
export const PATTERN_STEPS = { character: 300, text: 100_000 } as const;

/**
 * The matcher of a pattern in JavaScript's Unicode dialect. It throws
 * `TokenizerError` if a text takes too many steps.
 * @throws {TokenizerError} if the pattern is not supported
 */
export function matcher(source: string): Matcher {
  const { node, sets } = parsePattern(source);
  const { program, looks } = compilePattern(node);
  const orders = looks.map((look) => inOrder(look.program));
  const classes = classesOf(sets);
  const forks = numbered(program);
  return (text) => {
    const spend = budget({
      steps: PATTERN_STEPS.text + PATTERN_STEPS.character * text.length,
    }, () => {
      throw new TokenizerError(
        `Cannot encode the text: the tokenizer's pattern needs more than ${PATTERN_STEPS.character} steps per character; shorten it`,
      );
    });
    const read = classes(text, spend);
    const held: Uint8Array[] = [];
    for (const [i, look] of looks.entries()) {
      held.push(answers(look, orders[i], read, held, spend));
    }
    return search(program, forks, read, held, spend);
  };
}

/** A text as character classes. */
interface Read {
  /** Class of each character. */
  readonly kinds: Uint16Array;
  /** Start of each character in UTF-16 units, and the end. */
  readonly starts: Int32Array;
  /** Whether class c is in set s: `has[c · sets + s]` is 1. */
  readonly has: readonly number[];
  readonly sets: number;
}

/** Maximum of classes × sets of a pattern. */
const MOST_MEMBERS = 2 ** 20;

/**
 * Groups characters that are in the same sets into classes; each character is
 * tested once.
 */
function classesOf(
  sets: readonly RegExp[],
): (text: string, spend: Spend) => Read {
  const known = new Uint16Array(0x110000); // class + 1 of each code point
  const named = new Map<string, number>(); // sets it lies in → class
  const has: number[] = [];
  const classOf = (code: number, spend: Spend): number => {
    spend(4 + sets.length);
    const char = String.fromCodePoint(code);
    const row = sets.map((set) => +set.test(char)), name = row.join("");
    let kind = named.get(name);
    if (kind === undefined) {
      kind = named.size;
      if (has.length > MOST_MEMBERS || kind === 0xffff) {
        throw new TokenizerError(
          "Cannot encode the text: it has too many distinct characters for the tokenizer's pattern; shorten it",
        );
      }
      named.set(name, kind);
      has.push(...row);
    }
    known[code] = kind + 1;
    return kind;
  };
  return (text, spend) => {
    const kinds = new Uint16Array(text.length);
    const starts = new Int32Array(text.length + 1);
    let n = 0;
    for (let at = 0; at < text.length; n++) {
      const code = text.codePointAt(at)!;
      const kind = known[code] - 1;
      kinds[n] = kind >= 0 ? kind : classOf(code, spend);
      starts[n] = at;
      at += code > 0xffff ? 2 : 1;
    }
    starts[n] = text.length;
    return {
      kinds: kinds.subarray(0, n),
      starts: starts.subarray(0, n + 1),
      has,
      sets: sets.length,
    };
  };
}

/** Whether a lookaround holds, for each position of a text: 1 or 0. */
function answers(
  { program, behind, not }: Look,
  order: Int32Array,
  { kinds, has, sets }: Read,
  held: readonly Uint8Array[],
  spend: Spend,
): Uint8Array {
  const { op, a, b } = program, size = op.length, n = kinds.length;
  const answer = new Uint8Array(n + 1), done = size - 1;
  let now = new Uint8Array(size), other = new Uint8Array(size);
  spend(size * (n + 1));
  if (!behind) {
    // From the end: now[i] tells whether a match can be had from instruction i on.
    for (let at = n; at >= 0; at--) {
      [now, other] = [other, now];
      const row = at < n ? kinds[at] * sets : -1;
      for (const i of order) {
        const what = op[i];
        now[i] = what === OP.take
          ? row >= 0 && has[row + a[i]] === 1 ? other[i + 1] : 0
          : what === OP.fork
          ? now[a[i]] | now[b[i]]
          : what === OP.jump
          ? now[a[i]]
          : what === OP.look
          ? held[a[i]][at] & now[i + 1]
          : 1;
      }
      answer[at] = now[0] ^ +not;
    }
    return answer;
  }
  // From the beginning: now[i] tells whether instruction i can be come to, begun at any place so far.
  for (let at = 0; at <= n; at++) {
    [now, other] = [other, now];
    now.fill(0);
    now[0] = 1;
    if (at > 0) {
      const row = kinds[at - 1] * sets;
      for (let i = 0; i < size; i++) {
        if (other[i] && op[i] === OP.take && has[row + a[i]]) now[i + 1] = 1;
      }
    }
    for (let k = size - 1; k >= 0; k--) {
      const i = order[k];
      if (!now[i]) continue;
      if (op[i] === OP.fork) now[a[i]] = now[b[i]] = 1;
      else if (op[i] === OP.jump) now[a[i]] = 1;
      else if (op[i] === OP.look && held[a[i]][at]) now[i + 1] = 1;
    }
    answer[at] = now[done] ^ +not;
  }
  return answer;
}

/** Numbers the forks of a program. */
function numbered({ op }: Program): { of: Int32Array; count: number } {
  let count = 0;
  return {
    of: Int32Array.from(op, (o) => o === OP.fork ? count++ : -1),
    count,
  };
}

/** Matches from left to right. */
function search(
  { op, a, b }: Program,
  { of: forkOf, count }: ReturnType<typeof numbered>,
  { kinds, starts, has, sets }: Read,
  held: readonly Uint8Array[],
  spend: Spend,
): number[] {
  const n = kinds.length, found: number[] = [];
  // Forks gone through at each place, a bit each: they led nowhere.
  const words = (count + 31) >> 5, seen = new Int32Array(words * (n + 1));
  const back: number[] = []; // instruction and place to go on at, in pairs
  const matchAt = (begin: number): number => {
    let i = 0, at = begin, steps = 0;
    back.length = 0;
    for (;;) {
      steps++;
      let fails = false;
      switch (op[i]) {
        case OP.take:
          if (at < n && has[kinds[at] * sets + a[i]]) i++, at++;
          else fails = true;
          break;
        case OP.fork: {
          const fork = forkOf[i], word = at * words + (fork >> 5);
          const bit = 1 << (fork & 31);
          if (seen[word] & bit) fails = true;
          else {
            seen[word] |= bit;
            back.push(b[i], at);
            i = a[i];
          }
          break;
        }
        case OP.jump:
          i = a[i];
          break;
        case OP.look:
          if (held[a[i]][at]) i++;
          else fails = true;
          break;
        default:
          spend(steps);
          return at;
      }
      if (!fails) continue;
      if (back.length === 0) {
        spend(steps);
        return -1;
      }
      at = back.pop()!;
      i = back.pop()!;
      if (steps > 10_000) spend(steps), steps = 0;
    }
  };
  for (let at = 0; at < n;) {
    const end = matchAt(at);
    if (end <= at) at++; // none here, or an empty one
    else {
      found.push(starts[at], starts[end]);
      at = end;
    }
    // What the match went through at its end led somewhere.
    if (end >= 0) seen.fill(0, end * words, (end + 1) * words);
  }
  return found;
}
