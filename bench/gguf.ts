/**
 * Writes a GGUF file of a given shape with random Q4_0 weights, for llama.cpp.
 *
 * ```text
 * "GGUF" │ version 3 │ tensors u64 │ pairs u64 │ key–value pairs │ tensor infos │ pad 32 │ data
 * Q4_0: blocks of 32 weights, [f16 scale][16 bytes: two nibbles each]
 * ```
 * @module
 */
import type { TextShape } from "./shapes.ts";

const F32 = 0, Q4_0 = 2; // ggml_type
const ALIGNMENT = 32;

type Value = string | number | { readonly f32: number };

interface Tensor {
  readonly name: string;
  /** Fastest axis first, as GGUF has it. */
  readonly shape: readonly number[];
  readonly type: typeof F32 | typeof Q4_0;
}

const bytesOf = ({ shape, type }: Tensor): number => {
  const count = shape.reduce((a, b) => a * b, 1);
  return type === F32 ? count * 4 : count / 32 * 18;
};

const padded = (n: number) => Math.ceil(n / ALIGNMENT) * ALIGNMENT;

/** Little-endian bytes, one value after another. */
class Bytes {
  #parts: Uint8Array<ArrayBuffer>[] = [];
  length = 0;
  add(bytes: Uint8Array<ArrayBuffer>): void {
    this.#parts.push(bytes);
    this.length += bytes.length;
  }
  u32(x: number): void {
    this.add(new Uint8Array(Uint32Array.of(x).buffer));
  }
  u64(x: number): void {
    this.add(new Uint8Array(BigUint64Array.of(BigInt(x)).buffer));
  }
  string(s: string): void {
    const bytes = new TextEncoder().encode(s);
    this.u64(bytes.length);
    this.add(bytes);
  }
  value(v: Value): void {
    if (typeof v === "string") this.u32(8), this.string(v);
    else if (typeof v === "number") this.u32(4), this.u32(v);
    else {
      this.u32(6);
      this.add(new Uint8Array(Float32Array.of(v.f32).buffer));
    }
  }
  whole(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const p of this.#parts) out.set(p, at), at += p.length;
    return out;
  }
}

function pairs(s: TextShape): [string, Value][] {
  const a = s.family;
  return [
    ["general.architecture", a],
    ["general.name", s.name],
    ["general.file_type", Q4_0],
    [`${a}.context_length`, 2048],
    [`${a}.embedding_length`, s.dim],
    [`${a}.block_count`, s.layers],
    [`${a}.feed_forward_length`, s.ffn],
    [`${a}.attention.head_count`, s.heads],
    [`${a}.attention.head_count_kv`, s.kvHeads],
    [`${a}.attention.layer_norm_rms_epsilon`, { f32: 1e-5 }],
    [`${a}.rope.dimension_count`, s.headDim],
    [`${a}.rope.freq_base`, { f32: 10000 }],
    [`${a}.vocab_size`, s.vocabulary],
    ["tokenizer.ggml.model", "no_vocab"],
  ];
}

function tensors(s: TextShape): Tensor[] {
  const matrix = (name: string, k: number, n: number): Tensor => ({
    name: `${name}.weight`,
    shape: [k, n],
    type: Q4_0,
  });
  const vector = (name: string, n: number): Tensor => ({
    name,
    shape: [n],
    type: F32,
  });
  const q = s.heads * s.headDim, kv = s.kvHeads * s.headDim;
  const block = (b: string): Tensor[] => [
    vector(`${b}.attn_norm.weight`, s.dim),
    matrix(`${b}.attn_q`, s.dim, q),
    matrix(`${b}.attn_k`, s.dim, kv),
    matrix(`${b}.attn_v`, s.dim, kv),
    ...(s.family === "qwen2"
      ? [
        vector(`${b}.attn_q.bias`, q),
        vector(`${b}.attn_k.bias`, kv),
        vector(`${b}.attn_v.bias`, kv),
      ]
      : []),
    matrix(`${b}.attn_output`, q, s.dim),
    vector(`${b}.ffn_norm.weight`, s.dim),
    matrix(`${b}.ffn_gate`, s.dim, s.ffn),
    matrix(`${b}.ffn_up`, s.dim, s.ffn),
    matrix(`${b}.ffn_down`, s.ffn, s.dim),
  ];
  return [
    matrix("token_embd", s.dim, s.vocabulary),
    vector("output_norm.weight", s.dim),
    ...Array.from({ length: s.layers }, (_, i) => block(`blk.${i}`)).flat(),
  ];
}

/** A stretch of blocks that is written again and again: random nibbles, scale about 0.01. */
function randomBlocks(): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(18 * 3600); // crypto fills at most 64 KiB
  crypto.getRandomValues(out);
  const view = new DataView(out.buffer);
  for (let at = 0; at < out.length; at += 18) view.setUint16(at, 0x211f, true);
  return out;
}

/** Writes the file; its tensors stand in the order of `tensors`. */
export function writeGguf(path: string, shape: TextShape): void {
  const list = tensors(shape), head = new Bytes(), meta = pairs(shape);
  head.add(new TextEncoder().encode("GGUF"));
  head.u32(3);
  head.u64(list.length);
  head.u64(meta.length);
  for (const [key, value] of meta) head.string(key), head.value(value);
  let offset = 0;
  for (const t of list) {
    head.string(t.name);
    head.u32(t.shape.length);
    for (const n of t.shape) head.u64(n);
    head.u32(t.type);
    head.u64(offset);
    offset = padded(offset + bytesOf(t));
  }
  using file = Deno.openSync(path, { write: true, create: true });
  const write = (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) {
      at += file.writeSync(bytes.subarray(at));
    }
  };
  const pad = (n: number) => write(new Uint8Array(padded(n) - n));
  write(head.whole());
  pad(head.length);
  const blocks = randomBlocks();
  for (const t of list) {
    const size = bytesOf(t);
    if (t.type === F32) {
      write(new Uint8Array(new Float32Array(size / 4).fill(1).buffer));
    } else {
      for (let at = 0; at < size; at += blocks.length) {
        write(blocks.subarray(0, Math.min(blocks.length, size - at)));
      }
    }
    pad(size);
  }
}
