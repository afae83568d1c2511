/**
 * Added tokens: strings such as `<image>` that are split off before BPE
 * (https://huggingface.co/docs/tokenizers, "Added tokens").
 * @module
 */
import { budget } from "../platform/budget.ts";
import { TokenizerError } from "./error.ts";

/** An entry of `added_tokens` in tokenizer.json. */
export interface AddedToken {
  /** Its id. */
  readonly id: number;
  /** Its text. */
  readonly content: string;
  /** Matches only whole words. */
  readonly singleWord: boolean;
  /** Also matches white space before it. */
  readonly lstrip: boolean;
  /** Also matches white space after it. */
  readonly rstrip: boolean;
  /** Is searched in the normalized text. */
  readonly normalized: boolean;
  /** Is skipped in decoded text. */
  readonly special: boolean;
}

/** A part of the text, or the id of an added token. */
export type Piece = string | number;

/**
 * Reads `added_tokens` of tokenizer.json.
 * @throws {TokenizerError}
 */
export function readAddedTokens(json: unknown): AddedToken[] {
  if (json === undefined || json === null) return [];
  if (!Array.isArray(json)) {
    throw TokenizerError.inFile("added_tokens is not a list");
  }
  return json.map((entry) => {
    const { id, content } = entry ?? {};
    if (
      !Number.isSafeInteger(id) || typeof content !== "string" || content === ""
    ) {
      throw TokenizerError.inFile("an added token has no id or no content");
    }
    return {
      id,
      content,
      singleWord: entry.single_word === true,
      lstrip: entry.lstrip === true,
      rstrip: entry.rstrip === true,
      normalized: entry.normalized === true,
      special: entry.special === true,
    };
  });
}

const WORD = String.raw`[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]`;
const WORD_END = new RegExp(`${WORD}$`, "u");
const WORD_START = new RegExp(`^${WORD}`, "u");

const SPACE = /^\p{White_Space}$/u;

/** Step limit for finding added tokens: per character, and per text. */
const FINDER_STEPS = { character: 400, text: 1_000_000 } as const;

/**
 * Returns a function that splits a text at `tokens`: leftmost match first,
 * longest first.
 */
export function finder(
  tokens: readonly AddedToken[],
): (text: string) => Piece[] {
  if (tokens.length === 0) return (text) => text === "" ? [] : [text];
  const find = longestOf(tokens);
  return (text) => {
    const pieces: Piece[] = [];
    let at = 0; // up to here the text is cut
    for (const { token, index } of find(text)) {
      let start = index, end = start + token.content.length;
      if (start < at) continue; // swallowed by the white space of the one before
      if (
        token.singleWord &&
        (WORD_END.test(text.slice(Math.max(0, start - 2), start)) ||
          WORD_START.test(text.slice(end, end + 2)))
      ) continue;
      if (token.lstrip) {
        while (start > at && SPACE.test(text[start - 1])) start--;
      }
      if (token.rstrip) { while (SPACE.test(text[end] ?? "")) end++; }
      if (start > at) pieces.push(text.slice(at, start));
      pieces.push(token.id);
      at = end;
    }
    if (at < text.length) pieces.push(text.slice(at));
    return pieces;
  };
}

/**
 * Positions of `tokens` in a text, without overlap, the longest at each
 * position.
 */
function longestOf(tokens: readonly AddedToken[]) {
  const byContent = new Map<string, AddedToken>();
  const lengths = new Map<string, Set<number>>(); // of those that begin so
  for (const token of tokens) {
    const { content } = token;
    if (!content.isWellFormed()) continue; // stands in no text
    byContent.set(content, token);
    const known = lengths.get(content[0]) ?? new Set();
    lengths.set(content[0], known.add(content.length));
  }
  const sorted = new Map(
    [...lengths].map(([char, all]) => [char, [...all].sort((a, b) => b - a)]),
  );
  return function* (text: string) {
    const { character, text: any } = FINDER_STEPS;
    const spend = budget({ steps: any + character * text.length }, () => {
      throw new TokenizerError(
        "Cannot encode the text: looking for added tokens takes too long; shorten it",
      );
    });
    for (let at = 0; at < text.length;) {
      let token: AddedToken | undefined;
      for (const length of sorted.get(text[at]) ?? []) {
        spend(1 + (length >> 3));
        token = byContent.get(text.slice(at, at + length));
        if (token) break;
      }
      if (token) yield { token, index: at };
      at += token?.content.length ?? 1;
    }
  };
}
