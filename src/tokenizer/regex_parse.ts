/**
 * Parses regular expressions of JavaScript's Unicode dialect into a tree, as
 * far as tokenizers use them: characters and classes, groups, alternatives,
 * repetition, lookahead and lookbehind, anchors. Capturing and backreferences
 * are not supported.
 * @module
 */
import { TokenizerError } from "./error.ts";

/** A node of the tree. */
export type Node =
  /** One character of a set, by its index. */
  | { readonly kind: "set"; readonly set: number }
  /** A sequence. */
  | { readonly kind: "sequence"; readonly nodes: readonly Node[] }
  /** Alternatives; the first one that leads to a match. */
  | { readonly kind: "choice"; readonly nodes: readonly Node[] }
  /** `least` to `most` repetitions; greedy, or `lazy`. */
  | {
    readonly kind: "repeat";
    readonly node: Node;
    readonly least: number;
    readonly most: number;
    readonly lazy: boolean;
  }
  /** A lookaround; consumes nothing. */
  | {
    readonly kind: "look";
    readonly node: Node;
    readonly behind: boolean;
    readonly not: boolean;
  };

/** A parsed pattern. */
export interface Parsed {
  readonly node: Node;
  /** The sets; each tests a string of one code point. */
  readonly sets: readonly RegExp[];
}

/** Matches a character, class, escape, anchor, group start, or repetition. */
const ATOM =
  /\[\^?(?:\\.|[^\]\\])*\]|\\[pP]\{[^}]*\}|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\c[a-zA-Z]|\\u\{[^}]*\}|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\.|[^]/uy;
const OPEN = /\((?:\?(?::|<?[=!]|([a-z]*)(?:-([a-z]+))?:|<[^>=!]+>))?/y;
const COUNT = /(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})(\??)/y;

/** Maximum nesting of groups. */
const DEEPEST = 100;

/**
 * Parses `source`, a valid argument of `new RegExp(source, "u")`.
 * @throws {TokenizerError} if it uses unsupported syntax
 */
export function parsePattern(source: string): Parsed {
  const { sets, setOf } = setBook();
  let at = 0, depth = 0;

  const next = (what: RegExp): RegExpExecArray | null => {
    what.lastIndex = at;
    const found = what.exec(source);
    if (found) at = what.lastIndex;
    return found;
  };
  function choice(flags: string): Node {
    const nodes: Node[] = [];
    do nodes.push(sequence(flags)); while (take("|"));
    return nodes.length === 1 ? nodes[0] : { kind: "choice", nodes };
  }

  function sequence(flags: string): Node {
    const nodes: Node[] = [];
    while (at < source.length && source[at] !== "|" && source[at] !== ")") {
      nodes.push(counted(flags));
    }
    return nodes.length === 1 ? nodes[0] : { kind: "sequence", nodes };
  }

  function take(mark: string): boolean {
    if (source[at] !== mark) return false;
    at++;
    return true;
  }

  function counted(flags: string): Node {
    const node = single(flags), count = next(COUNT);
    if (!count) return node;
    return { kind: "repeat", node, ...boundsOf(count) };
  }

  function single(flags: string): Node {
    if (take("^")) return edge(true, flags);
    if (take("$")) return edge(false, flags);
    const open = next(OPEN);
    if (!open) return atom(flags);
    if (++depth > DEEPEST) throw unread(`groups ${DEEPEST + 1} deep`);
    const [mark, on = "", off = ""] = open;
    const inner = new Set(flags + on);
    for (const flag of off) inner.delete(flag);
    const node = choice([...inner].sort().join(""));
    if (!take(")")) throw unread("a group without an end");
    depth--;
    const look = /^\(\?(<?)([=!])$/.exec(mark);
    if (!look) return node;
    return { kind: "look", node, behind: look[1] !== "", not: look[2] === "!" };
  }

  function atom(flags: string): Node {
    const found = next(ATOM)![0];
    // JavaScript's \b, \B and \1 take no character of their own.
    if (/^\\[1-9bBk]/.test(found)) throw unread(found);
    return setOf(found, flags);
  }

  /** `^` or `$`: the start or end of the text, or of a line with the flag m. */
  function edge(behind: boolean, flags: string): Node {
    const lines = flags.includes("m");
    const node = setOf(lines ? "[^\\n\\r\\u2028\\u2029]" : "[^]", "u");
    return { kind: "look", node, behind, not: true };
  }

  const node = choice("u");
  if (at < source.length) throw unread(source.slice(at, at + 10));
  return { node, sets };
}

function unread(what: string): TokenizerError {
  return TokenizerError.inFile(
    `its pattern has ${JSON.stringify(what)}, which is not known`,
  );
}

/** Collects the sets; equal source text gives the same set. */
function setBook() {
  const sets: RegExp[] = [], known = new Map<string, number>();
  const setOf = (atom: string, flags: string): Node => {
    const key = `${flags}${atom}`;
    let set = known.get(key);
    if (set === undefined) {
      set = sets.push(new RegExp(`^(?:${atom})$`, flags)) - 1;
      known.set(key, set);
    }
    return { kind: "set", set };
  };
  return { sets, setOf };
}

function boundsOf([, sign, low, comma, high, lazy]: RegExpExecArray) {
  if (sign) {
    const least = sign === "+" ? 1 : 0, most = sign === "?" ? 1 : Infinity;
    return { least, most, lazy: lazy !== "" };
  }
  const least = Number(low);
  const most = !comma ? least : high === "" ? Infinity : Number(high);
  return { least, most, lazy: lazy !== "" };
}
