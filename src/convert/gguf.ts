/**
 * A GGUF file of a text model as a Hugging Face checkpoint: config.json,
 * tokenizer.json, chat template and weights under the names of transformers.
 * Weights are dequantized while they are read. llama.cpp's convert_hf_to_gguf.py
 * is the inverse.
 * @module
 */
import { basename } from "@std/path";
import { FormatError, quoted } from "../format/error.ts";
import type { Gguf } from "../format/gguf/read.ts";
import {
  type StoredTensor,
  type TensorFile,
  tensorFile,
} from "../format/safetensors.ts";
import { type Keys, keysOf } from "./gguf_keys.ts";
import { ggufTokenizerJson } from "./gguf_tokenizer.ts";
import type { SideFiles } from "./side_files.ts";

/** An architecture of llama.cpp that can be read. */
interface Family {
  /** Its name in transformers. */
  readonly modelType: string;
  readonly architecture: string;
  /** Rows of q and k that the rotary embedding rotates together are neighbours. */
  readonly paired?: true;
}

/** By `general.architecture`. */
const FAMILIES: Readonly<Record<string, Family>> = {
  llama: {
    modelType: "llama",
    architecture: "LlamaForCausalLM",
    paired: true,
  },
  qwen2: { modelType: "qwen2", architecture: "Qwen2ForCausalLM" },
  qwen3: { modelType: "qwen3", architecture: "Qwen3ForCausalLM" },
};

/** llama.cpp's tensor names → transformers'. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^token_embd\./, "model.embed_tokens."],
  [/^blk\.(\d+)\.attn_norm\./, "model.layers.$1.input_layernorm."],
  [/^blk\.(\d+)\.ffn_norm\./, "model.layers.$1.post_attention_layernorm."],
  [/^blk\.(\d+)\.attn_output\./, "model.layers.$1.self_attn.o_proj."],
  [/^blk\.(\d+)\.attn_([qk])_norm\./, "model.layers.$1.self_attn.$2_norm."],
  [/^blk\.(\d+)\.attn_([qkv])\./, "model.layers.$1.self_attn.$2_proj."],
  [/^blk\.(\d+)\.ffn_(gate|up|down)\./, "model.layers.$1.mlp.$2_proj."],
  [/^output_norm\./, "model.norm."],
  [/^output\./, "lm_head."],
];

/** Tensors that transformers computes itself. */
const DERIVED = /^rope_freqs\.weight$/;

/** A checkpoint in a GGUF file. */
export interface GgufCheckpoint {
  readonly files: SideFiles;
  readonly weights: TensorFile;
}

/**
 * The checkpoint in a GGUF file.
 * @param path of the file, for messages
 * @throws {FormatError} where a key is missing, or the architecture or the tokenizer is not supported
 */
export function checkpointOf(gguf: Gguf, path: string): GgufCheckpoint {
  const keys = keysOf(gguf, basename(path));
  const name = keys.text("general.architecture");
  if (!Object.hasOwn(FAMILIES, name)) {
    keys.fail(
      `its architecture is ${quoted(name)}, known are ${
        Object.keys(FAMILIES).join(", ")
      }; use the checkpoint of the model on Hugging Face`,
    );
  }
  const family = FAMILIES[name];
  const words = keys.texts("tokenizer.ggml.tokens");
  const config = configOf(keys, name, family, words.length, gguf.file);
  const special = (key: string) => {
    const id = keys.number(`tokenizer.ggml.${key}_token_id`, -1);
    return words[id] === undefined ? {} : { [`${key}_token`]: words[id] };
  };
  const template = keys.text("tokenizer.chat_template", "");
  const files: Record<string, string> = {
    "config.json": json(config),
    "tokenizer.json": ggufTokenizerJson(keys, words),
    "tokenizer_config.json": json({ ...special("bos"), ...special("eos") }),
    ...(template === "" ? {} : { "chat_template.jinja": template }),
  };
  return {
    files: {
      path: (name) => `${path}: ${name}`,
      read: (name) =>
        Object.hasOwn(files, name)
          ? new TextEncoder().encode(files[name])
          : undefined,
    },
    weights: weightsOf(gguf.file, family, config),
  };
}

const json = (value: unknown) => JSON.stringify(value, null, 1);

/** config.json. */
function configOf(
  keys: Keys,
  name: string,
  { modelType, architecture }: Family,
  vocabulary: number,
  file: TensorFile,
) {
  const of = (key: string, fallback?: number) =>
    keys.number(`${name}.${key}`, fallback);
  const heads = of("attention.head_count"), dim = of("embedding_length");
  const scaling = keys.text(`${name}.rope.scaling.type`, "none");
  if (scaling !== "none" || file.tensors.has("rope_freqs.weight")) {
    keys.fail(
      "its rotary embedding is scaled, which is not read from GGUF; use the checkpoint of the model on Hugging Face",
    );
  }
  return {
    architectures: [architecture],
    model_type: modelType,
    vocab_size: vocabulary,
    hidden_size: dim,
    intermediate_size: of("feed_forward_length"),
    num_hidden_layers: of("block_count"),
    num_attention_heads: heads,
    num_key_value_heads: of("attention.head_count_kv", heads),
    head_dim: of("attention.key_length", dim / heads),
    hidden_act: "silu",
    max_position_embeddings: of("context_length"),
    // Stored as float32; a config.json has the decimal number.
    rms_norm_eps: Number(of("attention.layer_norm_rms_epsilon").toPrecision(6)),
    rope_theta: of("rope.freq_base", 10_000),
    tie_word_embeddings: !file.tensors.has("output.weight"),
    attention_bias: modelType === "llama" &&
      file.tensors.has("blk.0.attn_q.bias"),
    eos_token_id: keys.number("tokenizer.ggml.eos_token_id"),
  };
}

/** The weights under transformers' names. */
function weightsOf(
  file: TensorFile,
  { paired }: Family,
  config: {
    readonly num_attention_heads: number;
    readonly num_key_value_heads: number;
  },
): TensorFile {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, stored] of file.tensors) {
    if (DERIVED.test(name)) continue;
    const entry = NAMES.find(([pattern]) => pattern.test(name));
    if (!entry) {
      throw new FormatError(
        "name",
        file.name,
        `its tensor ${quoted(name)} is not known`,
      );
    }
    const [, part] = /attn_([qk])\.(?:weight|bias)$/.exec(name) ?? [];
    const heads = part === "q"
      ? config.num_attention_heads
      : config.num_key_value_heads;
    const renamed = name.replace(...entry);
    tensors.set(
      renamed,
      paired && part
        ? withRows(stored, renamed, halves(stored.shape[0], heads))
        : { ...stored, name: renamed },
    );
  }
  return tensorFile(file.name, tensors, new Map(), [file]);
}

/**
 * For each row of q or k in transformers' order, [heads][2][d/2], its row in
 * llama.cpp's order, [heads][d/2][2].
 */
export function halves(rows: number, heads: number): (row: number) => number {
  const d = rows / heads;
  return (row) => {
    const i = row % d;
    return row - i + i % (d / 2) * 2 + Math.floor(2 * i / d);
  };
}

/** A tensor whose row i is row `from(i)` of another. */
function withRows(
  stored: StoredTensor,
  name: string,
  from: (row: number) => number,
): StoredTensor {
  const { shape, byteLength } = stored, rowBytes = byteLength / shape[0];
  const readSlice = (start: number, buffer: Uint8Array) => {
    for (let at = 0; at < buffer.length;) {
      const row = Math.floor((start + at) / rowBytes);
      const offset = start + at - row * rowBytes;
      const size = Math.min(rowBytes - offset, buffer.length - at);
      stored.readSlice(
        from(row) * rowBytes + offset,
        buffer.subarray(at, at + size),
      );
      at += size;
    }
  };
  return {
    ...stored,
    name,
    readSlice,
    readInto: (buffer) => readSlice(0, buffer.subarray(0, byteLength)),
    read() {
      const bytes = new Uint8Array(byteLength);
      readSlice(0, bytes);
      return new Float32Array(bytes.buffer);
    },
  };
}
