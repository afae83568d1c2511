/**
 * Whether a regular expression may take long where every way to match is tried
 * before giving up, as most engines do: `(a+)+b` takes as many as 2ⁿ for n
 * letters. A pattern whose ways can grow by more than the square of a text is
 * refused when a model file is read, since every other program that reads the
 * file would stand still; none of a known model does. The time here is bounded
 * by regex.ts, whatever the pattern.
 * @module
 */

/** A piece of a pattern, and how often it may stand there. */
interface Piece {
  /** Alternatives of a group; undefined for one character. */
  readonly group?: readonly Piece[][];
  /** `(?=` and its like: takes no character, and may fail. */
  readonly look: boolean;
  /** `(?<=` and its like: read from its end. */
  readonly behind: boolean;
  readonly least: number;
  readonly most: number;
}

/** Ways to match: `loops` unbounded choices, each times `ways` bounded ones. */
interface Cost {
  readonly loops: number;
  readonly ways: number;
}

const MOST: Cost = { loops: 1, ways: 64 };

/** Whether a pattern in JavaScript's Unicode dialect is over in the square of a text's length. */
export function isQuick(pattern: string): boolean {
  const read = { text: pattern, at: 0 };
  const { loops, ways } = costOf(alternatives(read), false);
  return read.at === pattern.length && loops <= MOST.loops && ways <= MOST.ways;
}

/** Ways through alternatives; `fails`: what follows them may fail, so that all are tried. */
function costOf(group: readonly Piece[][], fails: boolean): Cost {
  const costs = group.map((pieces) => sequenceCost(pieces, fails));
  const ways = costs.map((c) => c.ways);
  return {
    loops: Math.max(...costs.map((c) => c.loops)),
    ways: fails ? ways.reduce((a, b) => a + b) : Math.max(...ways),
  };
}

function sequenceCost(pieces: readonly Piece[], after: boolean): Cost {
  let loops = 0, ways = 1, fails = after;
  for (const { group, look, behind, least, most } of pieces.toReversed()) {
    if (group) {
      if (most > 1) return { loops: Infinity, ways: 1 };
      const read = behind ? group.map((pieces) => pieces.toReversed()) : group;
      const inner = costOf(read, fails && !look);
      loops += inner.loops;
      ways *= inner.ways;
    }
    if (fails) {
      if (most === Infinity) loops++;
      else ways *= most - least + 1;
    }
    fails ||= least > 0 || look;
  }
  return { loops, ways };
}

interface Reader {
  readonly text: string;
  at: number;
}

function alternatives(read: Reader): Piece[][] {
  const all: Piece[][] = [[]];
  while (read.at < read.text.length && read.text[read.at] !== ")") {
    if (read.text[read.at] === "|") {
      read.at++;
      all.push([]);
    } else all.at(-1)!.push(piece(read));
  }
  return all;
}

/** Characters, classes, and what begins a group. */
const ATOM =
  /\[(?:\\.|[^\]\\])*\]|\\[pPux]\{[^}]*\}|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\.|[^]/uy;
const OPEN = /\((?:\?(?::|<?[=!]|[a-z-]+:|<[^>]*>))?/y;
const TIMES = /(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/y;

function piece(read: Reader): Piece {
  const open = next(read, OPEN);
  let group: Piece[][] | undefined;
  if (open) {
    group = alternatives(read);
    read.at++; // its bracket; where there is none, the end is passed
  } else next(read, ATOM);
  const times = next(read, TIMES);
  const look = /^\(\?<?[=!]/.test(open?.[0] ?? "");
  const behind = /^\(\?<[=!]/.test(open?.[0] ?? "");
  return { ...group ? { group } : {}, look, behind, ...bounds(times) };
}

function bounds(times: RegExpExecArray | null) {
  if (!times) return { least: 1, most: 1 };
  const [, sign, low, comma, high] = times;
  if (sign) {
    return { least: sign === "+" ? 1 : 0, most: sign === "?" ? 1 : Infinity };
  }
  const least = Number(low);
  return { least, most: !comma ? least : high ? Number(high) : Infinity };
}

function next(read: Reader, pattern: RegExp): RegExpExecArray | null {
  pattern.lastIndex = read.at;
  const found = pattern.exec(read.text);
  if (found) read.at = pattern.lastIndex;
  return found;
}
