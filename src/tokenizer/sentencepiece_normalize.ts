/**
 * What SentencePiece does to a text before it looks for pieces: its table of
 * characters, fewer blanks, a blank in front, and ▁ for each blank
 * (SentencePiece, normalizer.cc, `Normalizer::Normalize`).
 * @module
 */
import { readCharsmap } from "./charsmap.ts";
import { TokenizerError } from "./error.ts";
import { longest, lookups, type Prefixes } from "./prefixes.ts";

/** Type of the normalizer in tokenizer.json. */
export const SENTENCEPIECE_NORMALIZER = "SentencePiece";

/** Where a blank is put in front of a text: of all, of the first one (nothing stands before it), of none. */
const PREFIXES = ["always", "first", "never"] as const;

/** The normalizer of a tokenizer.json. */
export interface SentencePieceNormalizer {
  readonly type: typeof SENTENCEPIECE_NORMALIZER;
  /** The table of characters in base64; empty where characters stay. */
  readonly precompiled_charsmap: string;
  /** Where a blank is put in front. */
  readonly prefix: typeof PREFIXES[number];
  /** Whether blanks at the ends go and several become one. */
  readonly remove_extra_whitespaces: boolean;
}

/** Characters that a text may grow to, or four times what it was. */
const MOST_TEXT = 4_000_000;

/**
 * What the normalizer does; throws `TokenizerError`.
 * @param fixed pieces that stay as they are wherever a text has them
 */
export function sentencePieceNormalize(
  json: Readonly<Record<string, unknown>>,
  fixed: Prefixes | undefined,
): (text: string, first: boolean) => string {
  const { prefix, remove_extra_whitespaces: fewer = false } = json;
  if (!PREFIXES.some((p) => p === prefix) || typeof fewer !== "boolean") {
    throw TokenizerError.inFile(
      `a SentencePiece normalizer needs prefix (${
        PREFIXES.join(", ")
      }) and remove_extra_whitespaces`,
    );
  }
  const replacement = readCharsmap(bytesOf(json.precompiled_charsmap));
  /** The text in parts, each as the table or a fixed piece makes it. */
  const parts = function* (text: string) {
    const spend = lookups(text.length);
    const bytes = new TextEncoder().encode(text);
    for (let at = 0, byte = 0; at < text.length;) {
      const found = fixed && longest(fixed, text, at, spend);
      const mapped = found ? undefined : replacement(bytes, byte, spend);
      const end = found?.end ?? at + charsIn(text, at, mapped?.length ?? 1);
      const source = text.slice(at, end);
      byte += mapped?.length ?? bytesIn(source);
      at = end;
      yield mapped?.text ?? source;
    }
  };
  return (text, first) => {
    const most = Math.max(MOST_TEXT, 4 * text.length);
    const out: string[] = [];
    let blank = fewer, length = 0; // blank: whether blanks at the front go
    for (let part of parts(text)) {
      if (blank) part = part.replace(/^ +/, "");
      if (part === "") continue;
      if ((length += part.length) > most) {
        throw new TokenizerError(
          `Cannot encode the text: its normalizer expands it to more than ${most} characters; shorten it`,
        );
      }
      out.push(part);
      blank = fewer && part.endsWith(" ");
    }
    let whole = out.join("").replaceAll(" ", "▁");
    if (fewer) {
      let end = whole.length;
      while (whole[end - 1] === "▁") end--;
      whole = whole.slice(0, end);
    }
    const put = prefix === "always" || prefix === "first" && first;
    return whole !== "" && put ? `▁${whole}` : whole;
  };
}

/** UTF-16 units from `at` on that make at least `bytes` bytes of UTF-8. */
function charsIn(text: string, at: number, bytes: number): number {
  let end = at;
  for (let left = bytes; left > 0 && end < text.length;) {
    const point = text.codePointAt(end)!;
    end += point > 0xffff ? 2 : 1;
    left -= point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return end - at;
}

function bytesIn(text: string): number {
  return new TextEncoder().encode(text).length;
}

function bytesOf(base64: unknown): Uint8Array {
  try {
    return Uint8Array.fromBase64(String(base64 ?? ""));
  } catch {
    throw TokenizerError.inFile("its precompiled_charsmap is not base64");
  }
}
