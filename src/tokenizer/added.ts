/**
 * Added tokens: strings such as `<image>` that are cut out of the text before
 * BPE sees it (https://huggingface.co/docs/tokenizers, "Added tokens").
 * @module
 */
import { TokenizerError } from "./error.ts";

/** An entry of `added_tokens` in tokenizer.json. */
export interface AddedToken {
  /** Its id. */
  readonly id: number;
  /** Its text. */
  readonly content: string;
  /** Only where it stands alone, not within a word. */
  readonly singleWord: boolean;
  /** Swallows white space before it. */
  readonly lstrip: boolean;
  /** Swallows white space after it. */
  readonly rstrip: boolean;
  /** Looked for in the normalized text. */
  readonly normalized: boolean;
  /** Left out when decoding for people. */
  readonly special: boolean;
}

/** A stretch of plain text, or the id of an added token. */
export type Piece = string | number;

/** Reads `added_tokens`; throws `TokenizerError`. */
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

/** A function that cuts `tokens` out of a text: leftmost first, longest first. */
export function finder(
  tokens: readonly AddedToken[],
): (text: string) => Piece[] {
  if (tokens.length === 0) return (text) => text === "" ? [] : [text];
  const byContent = new Map(tokens.map((t) => [t.content, t]));
  const pattern = new RegExp(
    tokens.map((t) => t.content)
      .toSorted((a, b) => b.length - a.length)
      .map((content) => RegExp.escape(content))
      .join("|"),
    "gu",
  );
  return (text) => {
    const pieces: Piece[] = [];
    let at = 0;
    for (const match of text.matchAll(pattern)) {
      const token = byContent.get(match[0])!;
      let [start, end] = [match.index, match.index + match[0].length];
      if (start < at) continue; // swallowed by the white space of the one before
      if (
        token.singleWord &&
        (WORD_END.test(text.slice(Math.max(0, start - 2), start)) ||
          WORD_START.test(text.slice(end, end + 2)))
      ) continue;
      if (token.lstrip) {
        start = at +
          text.slice(at, start).replace(/\p{White_Space}+$/u, "").length;
      }
      if (token.rstrip) {
        end += /^\p{White_Space}*/u.exec(text.slice(end))![0].length;
      }
      if (start > at) pieces.push(text.slice(at, start));
      pieces.push(token.id);
      at = end;
    }
    if (at < text.length) pieces.push(text.slice(at));
    return pieces;
  };
}
