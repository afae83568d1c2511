/**
 * tokenizer.json from the keys of a GGUF file: byte-level BPE as GPT-2's
 * ("gpt2" in llama.cpp), with the pre-tokenizer that `tokenizer.ggml.pre` names.
 * @module
 */
import { quoted } from "../format/error.ts";
import {
  byteLevelJson,
  type ByteLevelVocabulary,
} from "../tokenizer/byte_level_json.ts";
import { QWEN_WORDS } from "../tokenizer/side_files.ts";
import type { Keys } from "./gguf_keys.ts";

/** How a pre-tokenizer splits text. */
type Splitting = Pick<ByteLevelVocabulary, "pattern" | "digits" | "compose">;

/** Llama 3's words: as Qwen's, with up to three digits in one (llama3, tokenizer.py, pat_str). */
const LLAMA3_WORDS = QWEN_WORDS.replaceAll(
  String.raw`|\p{N}|`,
  String.raw`|\p{N}{1,3}|`,
);

/** Pre-tokenizers by llama.cpp's name (src/llama-vocab.cpp, `llm_tokenizer_bpe`). */
const PRE: Readonly<Record<string, Splitting>> = {
  "default": {},
  "gpt-2": {},
  "smollm": { digits: true },
  "llama-bpe": { pattern: LLAMA3_WORDS },
  "qwen2": { pattern: QWEN_WORDS, compose: true },
};

/** Token types (llama.h, `llama_token_type`): special tokens, other added tokens, padding of the vocabulary. */
const CONTROL = 3, USER_DEFINED = 4, UNUSED = 5;

/**
 * tokenizer.json of a GGUF file.
 * @param words its tokens, by id
 * @throws {FormatError} where the tokenizer is not supported
 */
export function ggufTokenizerJson(
  keys: Keys,
  words: readonly string[],
): string {
  const model = keys.text("tokenizer.ggml.model");
  const pre = keys.text("tokenizer.ggml.pre", "default");
  if (model !== "gpt2" || !Object.hasOwn(PRE, pre)) {
    keys.fail(
      `its tokenizer is ${quoted(model)} with pre-tokenizer ${
        quoted(pre)
      }, known are "gpt2" with ${
        Object.keys(PRE).join(", ")
      }; use the checkpoint of the model on Hugging Face`,
    );
  }
  const types = keys.numbers("tokenizer.ggml.token_type");
  return byteLevelJson({
    ...PRE[pre],
    added: words.flatMap((content, id) =>
      types[id] === CONTROL || types[id] === USER_DEFINED
        ? [{ id, content, special: types[id] === CONTROL }]
        : []
    ),
    model: {
      type: "BPE",
      ignore_merges: pre === "llama-bpe",
      vocab: Object.fromEntries(
        words.flatMap((word, id) => types[id] === UNUSED ? [] : [[word, id]]),
      ),
      merges: keys.texts("tokenizer.ggml.merges"),
    },
  });
}
