/**
 * The `model` of a tokenizer.json: a vocabulary, and how text becomes its ids.
 * @module
 */
import { bpe } from "./bpe.ts";
import { TokenizerError } from "./error.ts";
import {
  readSentencePiece,
  SENTENCEPIECE,
  type Words,
} from "./sentencepiece.ts";
import { RANKED } from "./tiktoken.ts";

const MOST_TOKENS = 2 ** 20;

/**
 * Reads the model.
 * @param pieces whether the decoder is that of a SentencePiece vocabulary
 * @throws {TokenizerError}
 */
export function readVocabulary(json: unknown, pieces: boolean): Words {
  const model = (json ?? {}) as Record<string, unknown>;
  if (model.type === SENTENCEPIECE && pieces) return readSentencePiece(model);
  checkModel(model);
  if (pieces !== (model.byte_fallback === true)) {
    throw TokenizerError.inFile(
      "byte_fallback and a ByteFallback decoder must come together",
    );
  }
  const ranked = model.type === RANKED, vocab = readVocab(model.vocab);
  const words = bpe({
    vocab,
    merges: ranked ? undefined : readMerges(model.merges),
    ignoreMerges: ranked || model.ignore_merges === true,
    pieces,
  });
  return { vocab, words, fixed: undefined };
}

/** Refuses settings that would change ids and are not supported. */
function checkModel(model: Record<string, unknown>) {
  if (model.type !== "BPE" && model.type !== RANKED) {
    throw TokenizerError.inFile(
      `its model is ${
        JSON.stringify(model.type)
      }; only BPE, ${RANKED} and ${SENTENCEPIECE} are known`,
    );
  }
  for (
    const name of [
      "dropout",
      "continuing_subword_prefix",
      "end_of_word_suffix",
    ]
  ) {
    if (model[name]) {
      throw TokenizerError.inFile(`its BPE uses ${name}, which is not known`);
    }
  }
}

/** Checks the id of `token`. */
export function checkId(id: unknown, token: string): asserts id is number {
  if (
    Number.isSafeInteger(id) && id as number >= 0 && id as number < MOST_TOKENS
  ) return;
  throw TokenizerError.inFile(
    `the id of ${
      JSON.stringify(token.slice(0, 40))
    } must be a whole number below ${MOST_TOKENS}: it is ${
      JSON.stringify(id)?.slice(0, 40)
    }`,
  );
}

function readVocab(json: unknown): Map<string, number> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw TokenizerError.inFile("its vocabulary is not an object");
  }
  const vocab = new Map<string, number>();
  const owner = new Map<number, string>();
  for (const [token, id] of Object.entries(json)) {
    checkId(id, token);
    const other = owner.get(id);
    if (other !== undefined) throw sameId(id, other, token);
    owner.set(id, token);
    vocab.set(token, id);
  }
  return vocab;
}

/** Two tokens of one id. */
export function sameId(id: number, one: string, two: string): TokenizerError {
  const [a, b] = [one, two].map((t) => JSON.stringify(t.slice(0, 40)));
  return TokenizerError.inFile(`${a} and ${b} have the same id ${id}`);
}

/** Reads merges: pairs, or "left right" in older files. */
function readMerges(json: unknown): [string, string][] {
  if (!Array.isArray(json) || json.length > MOST_TOKENS) {
    throw TokenizerError.inFile("its merges are not a list, or too many");
  }
  return json.map((entry, i) => {
    const pair = typeof entry === "string" ? entry.split(" ") : entry;
    if (
      Array.isArray(pair) && pair.length === 2 &&
      pair.every((token) => typeof token === "string")
    ) return pair as [string, string];
    throw TokenizerError.inFile(`merge ${i} is not a pair of tokens`);
  });
}
