/**
 * tokenizer.json from the keys of a GGUF file: byte-level BPE as GPT-2's
 * ("gpt2" in llama.cpp), with the pre-tokenizer that `tokenizer.ggml.pre` names.
 * @module
 */
import { quoted } from "../format/error.ts";
import { QWEN_WORDS } from "../tokenizer/side_files.ts";
import type { Keys } from "./gguf_keys.ts";

/** Splits by a regular expression; matches are words. */
const split = (pattern: string) => ({
  type: "Split",
  pattern: { Regex: pattern },
  behavior: "Isolated",
  invert: false,
});

const BYTES = {
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: false,
};

/** Pre-tokenizers by llama.cpp's name (src/llama-vocab.cpp, `llm_tokenizer_bpe`). */
const PRE: Readonly<Record<string, readonly unknown[]>> = {
  "default": [{ ...BYTES, use_regex: true }],
  "gpt-2": [{ ...BYTES, use_regex: true }],
  "smollm": [
    { type: "Digits", individual_digits: true },
    { ...BYTES, use_regex: true },
  ],
  "llama-bpe": [
    split(QWEN_WORDS.replaceAll(String.raw`|\p{N}|`, String.raw`|\p{N}{1,3}|`)),
    BYTES,
  ],
  "qwen2": [split(QWEN_WORDS), BYTES],
};

/** Token types (llama.h, `llama_token_type`): special tokens, other added tokens, padding of the vocabulary. */
const CONTROL = 3, USER_DEFINED = 4, UNUSED = 5;

/**
 * tokenizer.json of a GGUF file.
 * @param words its tokens, by id
 * @throws {FormatError} where the tokenizer is not supported
 */
export function byteLevelTokenizerJson(
  keys: Keys,
  words: readonly string[],
): unknown {
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
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: words.flatMap((content, id) =>
      types[id] === CONTROL || types[id] === USER_DEFINED
        ? [{
          id,
          content,
          single_word: false,
          lstrip: false,
          rstrip: false,
          normalized: false,
          special: types[id] === CONTROL,
        }]
        : []
    ),
    normalizer: pre === "qwen2" ? { type: "NFC" } : null,
    pre_tokenizer: { type: "Sequence", pretokenizers: PRE[pre] },
    post_processor: null,
    decoder: { ...BYTES, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: pre === "llama-bpe",
      vocab: Object.fromEntries(
        words.flatMap((word, id) => types[id] === UNUSED ? [] : [[word, id]]),
      ),
      merges: keys.texts("tokenizer.ggml.merges"),
    },
  };
}
