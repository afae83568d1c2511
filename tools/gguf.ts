/**
 * Converts a Llama model from a GGUF file (llama.cpp's format, version 3) to a
 * checkpoint folder of Hugging Face: config.json, model.safetensors in float16,
 * tokenizer.json, chat template. Quantized tensors are dequantized: the result is a
 * float checkpoint with the values of the file.
 *
 *     deno run --allow-read --allow-write tools/gguf.ts FILE.gguf OUT_DIR
 *
 * ```text
 * "GGUF" │ u32 version │ u64 tensors │ u64 keys │ keys │ tensor infos │ pad │ data
 *   key    text name │ u32 type │ value          text: u64 length │ UTF-8
 *   info   text name │ u32 axes │ u64 extents, innermost first │ u32 type │ u64 offset
 *   Q4_1   32 weights: f16 d │ f16 m │ 16 bytes: weight j low nibble of byte j, j + 16 high; w = d·q + m
 *   Q8_0   32 weights: f16 d │ 32 int8;  w = d·q
 * ```
 *
 * @module
 */
import { join } from "@std/path";
import { writeSafetensors } from "../src/format/write.ts";
import type { TensorToWrite } from "../src/format/write.ts";
import { f16ToF32, f32ToF16 } from "../src/tensor/float16.ts";
import { sizeOf } from "../src/tensor/tensor.ts";

/** A value of a key. */
export type Value = number | string | boolean | readonly Value[];

/** A tensor of the file. */
export interface Stored {
  /** Outermost first. */
  readonly shape: readonly number[];
  /** Its elements, dequantized. */
  read(): Float32Array;
}

/** What a GGUF file holds. */
export interface Gguf {
  readonly keys: ReadonlyMap<string, Value>;
  readonly tensors: ReadonlyMap<string, Stored>;
}

const [F32, F16, Q4_1, Q8_0] = [0, 1, 3, 8];

/** Bytes of one block, and how many weights it holds. */
const BLOCKS: Readonly<Record<number, readonly [number, number]>> = {
  [F32]: [4, 1],
  [F16]: [2, 1],
  [Q4_1]: [20, 32],
  [Q8_0]: [34, 32],
};

/** Walks bytes; each call reads the next value. */
function reader(bytes: Uint8Array<ArrayBuffer>) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const next = (size: number) => (at += size) - size;
  const whole = () => Number(view.getBigUint64(next(8), true));
  const text = () => {
    const size = whole();
    return new TextDecoder().decode(bytes.subarray(next(size), at));
  };
  const value = (type: number): Value => {
    switch (type) {
      case 0:
        return view.getUint8(next(1));
      case 1:
        return view.getInt8(next(1));
      case 2:
        return view.getUint16(next(2), true);
      case 3:
        return view.getInt16(next(2), true);
      case 4:
        return view.getUint32(next(4), true);
      case 5:
        return view.getInt32(next(4), true);
      case 6:
        return view.getFloat32(next(4), true);
      case 7:
        return view.getUint8(next(1)) !== 0;
      case 8:
        return text();
      case 9: {
        const of = view.getUint32(next(4), true), size = whole();
        return Array.from({ length: size }, () => value(of));
      }
      case 10:
        return whole();
      case 11:
        return Number(view.getBigInt64(next(8), true));
      case 12:
        return view.getFloat64(next(8), true);
      default:
        throw new RangeError(`Cannot read a value of GGUF type ${type}`);
    }
  };
  return {
    whole,
    text,
    value,
    u32: () => view.getUint32(next(4), true),
    at: () => at,
  };
}

/**
 * Reads a GGUF file that is in memory.
 * @throws {RangeError} where it is none, or holds types that are not known here
 */
export function readGguf(bytes: Uint8Array<ArrayBuffer>): Gguf {
  const r = reader(bytes);
  if (r.u32() !== 0x46554747 || r.u32() !== 3) {
    throw new RangeError(
      'Cannot read the file: it must begin with "GGUF" and version 3',
    );
  }
  const count = r.whole(), size = r.whole();
  const keys = new Map<string, Value>();
  for (let i = 0; i < size; i++) keys.set(r.text(), r.value(r.u32()));
  const infos = Array.from({ length: count }, () => {
    const name = r.text();
    const shape = Array.from({ length: r.u32() }, r.whole).reverse();
    return { name, shape, type: r.u32(), offset: r.whole() };
  });
  const unit = Number(keys.get("general.alignment") ?? 32);
  const data = Math.ceil(r.at() / unit) * unit;
  const tensors = new Map<string, Stored>();
  for (const { name, shape, type, offset } of infos) {
    const block = BLOCKS[type];
    if (!block) {
      throw new RangeError(
        `Cannot read tensor "${name}": its type must be F32, F16, Q4_1 or Q8_0: it is number ${type}`,
      );
    }
    const from = data + offset, elements = sizeOf(shape);
    const stored = bytes.slice(from, from + elements / block[1] * block[0]);
    tensors.set(name, { shape, read: () => dequantize(stored, type) });
  }
  return { keys, tensors };
}

/** Weights of blocks of a type. */
export function dequantize(
  bytes: Uint8Array<ArrayBuffer>,
  type: number,
): Float32Array {
  if (type === F32) return new Float32Array(bytes.buffer);
  if (type === F16) return f16ToF32(new Uint16Array(bytes.buffer));
  const [size, weights] = BLOCKS[type];
  const out = new Float32Array(bytes.length / size * weights);
  const view = new DataView(bytes.buffer), half = new Uint16Array(2);
  for (let at = 0, to = 0; at < bytes.length; at += size, to += weights) {
    half[0] = view.getUint16(at, true);
    half[1] = type === Q4_1 ? view.getUint16(at + 2, true) : 0;
    const [d, m] = f16ToF32(half);
    for (let i = 0; i < weights; i++) {
      const q = type === Q8_0
        ? view.getInt8(at + 2 + i)
        : (bytes[at + 4 + i % 16] >> (i < 16 ? 0 : 4)) & 15;
      out[to + i] = d * q + m;
    }
  }
  return out;
}

/**
 * Rows of q or k in the order of Hugging Face, [heads][2][d/2]: llama.cpp
 * stores the two rows that its rotary embedding turns together side by side,
 * [heads][d/2][2].
 * @param w [heads · d, k]
 */
export function unpaired(
  w: Float32Array,
  heads: number,
  d: number,
  k: number,
): Float32Array {
  const out = new Float32Array(w.length);
  for (let row = 0; row < heads * d; row++) {
    const i = row % d, from = row - i + i % (d / 2) * 2 + Math.floor(2 * i / d);
    out.set(w.subarray(from * k, (from + 1) * k), row * k);
  }
  return out;
}

const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^token_embd\./, "model.embed_tokens."],
  [/^blk\.(\d+)\.attn_norm\./, "model.layers.$1.input_layernorm."],
  [/^blk\.(\d+)\.ffn_norm\./, "model.layers.$1.post_attention_layernorm."],
  [/^blk\.(\d+)\.attn_output\./, "model.layers.$1.self_attn.o_proj."],
  [/^blk\.(\d+)\.attn_([qkv])\./, "model.layers.$1.self_attn.$2_proj."],
  [/^blk\.(\d+)\.ffn_(gate|up|down)\./, "model.layers.$1.mlp.$2_proj."],
  [/^output_norm\./, "model.norm."],
  [/^output\./, "lm_head."],
];

/** The checkpoint's files: JSON and text by name, and its tensors. */
export function checkpointOf({ keys, tensors }: Gguf): {
  readonly files: Readonly<Record<string, string>>;
  readonly tensors: readonly TensorToWrite[];
} {
  const key = <V extends Value>(name: string): V => {
    const value = keys.get(name);
    if (value !== undefined) return value as V;
    throw new RangeError(`Cannot read the file: its key "${name}" is missing`);
  };
  for (
    const [name, want] of [
      ["general.architecture", "llama"],
      ["tokenizer.ggml.model", "gpt2"],
      ["tokenizer.ggml.pre", "smollm"],
    ]
  ) {
    if (key(name) !== want) {
      throw new RangeError(
        `Cannot unpack the file: ${name} must be "${want}": current value is "${
          key(name)
        }"`,
      );
    }
  }
  const heads = key<number>("llama.attention.head_count");
  const kv = key<number>("llama.attention.head_count_kv");
  const dim = key<number>("llama.embedding_length"), d = dim / heads;
  const words = key<readonly string[]>("tokenizer.ggml.tokens");
  const bos = key<number>("tokenizer.ggml.bos_token_id");
  const eos = key<number>("tokenizer.ggml.eos_token_id");
  const config = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: words.length,
    hidden_size: dim,
    intermediate_size: key("llama.feed_forward_length"),
    num_hidden_layers: key("llama.block_count"),
    num_attention_heads: heads,
    num_key_value_heads: kv,
    head_dim: d,
    hidden_act: "silu",
    max_position_embeddings: key("llama.context_length"),
    // stored as float32; configs write the decimal it came from
    rms_norm_eps: Number(
      key<number>("llama.attention.layer_norm_rms_epsilon").toPrecision(6),
    ),
    rope_theta: key("llama.rope.freq_base"),
    tie_word_embeddings: !tensors.has("output.weight"),
    bos_token_id: bos,
    eos_token_id: eos,
    pad_token_id: key("tokenizer.ggml.padding_token_id"),
    torch_dtype: "float16",
  };
  return {
    files: {
      "config.json": json(config),
      "tokenizer.json": json(tokenizerOf(
        words,
        key<readonly number[]>("tokenizer.ggml.token_type"),
        key<readonly string[]>("tokenizer.ggml.merges"),
      )),
      "tokenizer_config.json": json({
        bos_token: words[bos],
        eos_token: words[eos],
        tokenizer_class: "GPT2Tokenizer",
      }),
      "chat_template.jinja": key<string>("tokenizer.chat_template"),
    },
    tensors: [...tensors].map(([name, { shape, read }]) => {
      const part = /attn_([qk])\.weight$/.exec(name)?.[1];
      const hf = NAMES.find(([pattern]) => pattern.test(name));
      if (!hf) throw new RangeError(`Cannot name tensor "${name}"`);
      const values = () =>
        part
          ? unpaired(read(), part === "q" ? heads : kv, d, shape[1])
          : read();
      return {
        name: name.replace(...hf),
        dtype: "F16",
        shape,
        data: () => f32ToF16(values()),
      };
    }),
  };
}

const json = (value: unknown) => JSON.stringify(value, null, 1) + "\n";

/** tokenizer.json of a GPT-2 byte-level BPE that takes digits one by one (llama.cpp's "smollm"). */
function tokenizerOf(
  words: readonly string[],
  types: readonly number[],
  merges: readonly string[],
): unknown {
  const CONTROL = 3;
  const added = words.flatMap((content, id) =>
    types[id] === CONTROL
      ? [{
        id,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      }]
      : []
  );
  const bytes = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: true,
  };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [{ type: "Digits", individual_digits: true }, bytes],
    },
    post_processor: null,
    decoder: bytes,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      merges,
    },
  };
}

if (import.meta.main) {
  const [path, out] = Deno.args;
  if (out === undefined) {
    console.error("usage: tools/gguf.ts FILE.gguf OUT_DIR");
    Deno.exit(2);
  }
  const { files, tensors } = checkpointOf(readGguf(Deno.readFileSync(path)));
  Deno.mkdirSync(out, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    Deno.writeTextFileSync(join(out, name), text);
  }
  writeSafetensors(join(out, "model.safetensors"), {
    metadata: { format: "pt" },
    tensors,
  });
  console.error(`${out}: ${tensors.length} tensors`);
}
