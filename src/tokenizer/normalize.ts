/**
 * The normalizers of tokenizer.json, which change a text before it is split
 * (https://huggingface.co/docs/tokenizers, "Normalizers").
 * @module
 */
import { TokenizerError } from "./error.ts";
import type { Prefixes } from "./prefixes.ts";
import {
  SENTENCEPIECE_NORMALIZER,
  sentencePieceNormalize,
} from "./sentencepiece_normalize.ts";

/** Maximum normalizers of a Sequence. */
const MOST_STEPS = 16;

/**
 * Maximum characters of a normalized text; a text may also grow to four times
 * its length.
 */
const MOST_TEXT = 4_000_000;

/** Normalizes a text; the result may have `most` characters. */
type Step = (text: string, most: number) => string;

/** Normalizes a text; `first` if nothing precedes it. */
export type Normalize = (text: string, first: boolean) => string;

/**
 * The function of a tokenizer.json's `normalizer`.
 * @param fixed pieces that a SentencePiece normalizer leaves as they are
 * @throws {TokenizerError}
 */
export function readNormalizer(
  json: unknown,
  fixed?: Prefixes,
): Normalize {
  const own = json as Record<string, unknown> | null | undefined;
  if (own?.type === SENTENCEPIECE_NORMALIZER) {
    return sentencePieceNormalize(own, fixed);
  }
  const step = readStep(json, 0);
  return (text) => step(text, Math.max(MOST_TEXT, 4 * text.length));
}

function readStep(json: unknown, depth: number): Step {
  if (json === null || json === undefined) return (text) => text;
  const { type, normalizers } = json as Record<string, unknown>;
  switch (type) {
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => text.normalize(type);
    case "Prepend":
      return (text) => text === "" ? "" : `${textOf(json, "prepend")}${text}`;
    case "Replace": {
      const { pattern } = json as { pattern?: unknown };
      const from = textOf(pattern, "String"), to = textOf(json, "content");
      return (text, most) => {
        const grown = text.length +
          countOf(from, text) * (to.length - from.length);
        if (grown <= most) return text.replaceAll(from, () => to);
        throw new TokenizerError(
          `Cannot encode the text: its normalizer expands it to ${grown} characters; shorten it`,
        );
      };
    }
    case "Sequence": {
      if (
        !Array.isArray(normalizers) || depth > 1 ||
        normalizers.length > MOST_STEPS
      ) {
        throw TokenizerError.inFile(
          `a Sequence needs a list of up to ${MOST_STEPS} normalizers`,
        );
      }
      const steps = normalizers.map((n) => readStep(n, depth + 1));
      return (text, most) => steps.reduce((t, step) => step(t, most), text);
    }
    default:
      throw TokenizerError.inFile(
        `normalizer ${
          JSON.stringify(type)
        } is not known; known are Sequence, Prepend, Replace, NFC, NFD, NFKC and NFKD`,
      );
  }
}

/** A string in a normalizer's settings. */
function textOf(json: unknown, key: string): string {
  const value = (json as Record<string, unknown> | null | undefined)?.[key];
  if (typeof value === "string" && value !== "" && value.length <= 64) {
    return value;
  }
  throw TokenizerError.inFile(
    `a normalizer's ${key} must be a text of 1 to 64 characters: it is ${
      JSON.stringify(value)?.slice(0, 40)
    }`,
  );
}

/** Number of occurrences of `part` in `text`. */
function countOf(part: string, text: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; count++) {
    at = text.indexOf(part, at + part.length);
  }
  return count;
}
