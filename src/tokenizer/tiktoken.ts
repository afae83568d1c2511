/**
 * tiktoken vocabularies: a file with a line `base64 rank` per token
 * (`qwen.tiktoken`, GLM-4's `tokenizer.model`). The word pattern and the
 * special tokens are in the family's code or settings. They are converted to a
 * tokenizer.json whose model has its own type: a vocabulary without merges in
 * which a token's id is its rank.
 * @module
 */
import { byteLevelJson } from "./byte_level_json.ts";
import { CHAR_OF_BYTE } from "./bytes.ts";
import { TokenizerError } from "./error.ts";

/** Model type in tokenizer.json. */
export const RANKED = "Tiktoken";

/** Settings that the vocabulary file does not contain. */
export interface RankedWords {
  /** The word pattern. */
  readonly pattern: string;
  /** Special tokens, by id. */
  readonly special: ReadonlyMap<number, string>;
  /** Whether text is normalized (NFC) first. */
  readonly compose: boolean;
}

const MOST_TOKENS = 2 ** 20;

/**
 * Reads a vocabulary file: token text (in the byte alphabet) → rank.
 * @throws {TokenizerError} with the wrong line
 */
export function readRanks(text: string): Map<string, number> {
  const ranks = new Map<string, number>();
  const seen = new Set<number>();
  for (const [i, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const [, token, digits] = /^([A-Za-z0-9+/]+=*) (\d{1,7})\s*$/.exec(line) ??
      [];
    const rank = Number(digits);
    if (token === undefined || rank >= MOST_TOKENS || seen.has(rank)) {
      throw bad(i, line, `a token in base64 and its rank, each rank once`);
    }
    let bytes: Uint8Array;
    try {
      bytes = Uint8Array.fromBase64(token);
    } catch {
      throw bad(i, line, "a token in base64");
    }
    seen.add(rank);
    ranks.set(Array.from(bytes, (b) => CHAR_OF_BYTE[b]).join(""), rank);
  }
  if (ranks.size !== seen.size) {
    throw new TokenizerError(
      `Cannot read the tiktoken vocabulary: ${
        seen.size - ranks.size
      } tokens appear twice; download it again`,
    );
  }
  return ranks;
}

function bad(line: number, text: string, want: string): TokenizerError {
  return new TokenizerError(
    `Cannot read the vocabulary of ranks: line ${
      line + 1
    } must be ${want}: it is ${
      JSON.stringify(text.slice(0, 40))
    }; download it again`,
  );
}

/** Builds a tokenizer.json from a tiktoken vocabulary. */
export function rankedTokenizerJson(
  ranks: ReadonlyMap<string, number>,
  { pattern, special, compose }: RankedWords,
): string {
  const added = [...special].toSorted(([a], [b]) => a - b)
    .map(([id, content]) => ({ id, content, special: true }));
  const model = { type: RANKED, vocab: Object.fromEntries(ranks) };
  return byteLevelJson({ model, added, pattern, compose });
}
