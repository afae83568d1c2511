/**
 * Detects regular expressions that are slow in backtracking engines: `(a+)+b`
 * takes up to 2ⁿ attempts for n letters. A pattern whose attempts can grow
 * faster than the square of the text is refused when a model file is read,
 * because other programs that read the file would hang; no known model has one.
 * The matcher here (regex.ts) is bounded for every pattern.
 * @module
 */

/** A part of a pattern and its repetition. */
interface Piece {
  /** Alternatives of a group; undefined for one character. */
  readonly group?: readonly Piece[][];
  /** A lookaround: consumes no character and may fail. */
  readonly look: boolean;
  /** A lookbehind: is matched backwards. */
  readonly behind: boolean;
  readonly least: number;
  readonly most: number;
}

/**
 * Number of attempts: `loops` unbounded repetitions times `ways` bounded
 * alternatives.
 */
interface Cost {
  readonly loops: number;
  readonly ways: number;
}

const MOST: Cost = { loops: 1, ways: 64 };

/**
 * Whether a backtracking engine needs at most the square of the text's length
 * for a pattern.
 */
export function isQuick(pattern: string): boolean {
  const read = { text: pattern, at: 0 };
  const { loops, ways } = costOf(alternatives(read), false);
  return read.at === pattern.length && loops <= MOST.loops && ways <= MOST.ways;
}

/**
 * Attempts of a group.
 * @param fails whether what follows may fail, so that all attempts are made
 */
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

/** Matches a character, a class, or the start of a group. */
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
