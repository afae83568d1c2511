import { assert, assertEquals, assertThrows } from "@std/assert";
import { CHAR_OF_BYTE } from "../src/tokenizer/bytes.ts";
import { readTokenizer } from "../src/tokenizer/tokenizer.ts";
import { checkpointOf, readGguf, unpaired } from "./gguf.ts";

type Field = [name: string, type: number, value: unknown];

const F32 = 0, Q4_1 = 3, Q8_0 = 8;

/** A GGUF file of keys and tensors, written byte by byte. */
function ggufOf(
  keys: readonly Field[],
  tensors: readonly [string, number[], number, Uint8Array][],
): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  const put = (size: number, write: (v: DataView) => void) => {
    const b = new Uint8Array(size);
    write(new DataView(b.buffer));
    bytes.push(...b);
  };
  const u32 = (x: number) => put(4, (v) => v.setUint32(0, x, true));
  const u64 = (x: number) => put(8, (v) => v.setBigUint64(0, BigInt(x), true));
  const text = (s: string) => {
    const utf8 = new TextEncoder().encode(s);
    u64(utf8.length), bytes.push(...utf8);
  };
  const value = (type: number, x: unknown) => {
    if (type === 4) u32(x as number);
    if (type === 6) put(4, (v) => v.setFloat32(0, x as number, true));
    if (type === 8) text(x as string);
    if (type === 9) {
      const list = x as unknown[], of = typeof list[0] === "string" ? 8 : 4;
      u32(of), u64(list.length), list.forEach((item) => value(of, item));
    }
  };
  bytes.push(...new TextEncoder().encode("GGUF"));
  u32(3), u64(tensors.length), u64(keys.length);
  for (const [name, type, x] of keys) text(name), u32(type), value(type, x);
  let at = 0;
  for (const [name, shape, type, data] of tensors) {
    text(name), u32(shape.length);
    shape.toReversed().forEach(u64);
    u32(type), u64(at);
    at += Math.ceil(data.length / 32) * 32;
  }
  while (bytes.length % 32) bytes.push(0);
  for (const [, , , data] of tensors) {
    bytes.push(...data);
    while (bytes.length % 32) bytes.push(0);
  }
  return Uint8Array.from(bytes);
}

/** 1, −2, 0.5 in binary16, little-endian. */
const ONE = [0x00, 0x3c], MINUS_TWO = [0x00, 0xc0], HALF = [0x00, 0x38];
const floats = (...x: number[]) => new Uint8Array(new Float32Array(x).buffer);

Deno.test("readGguf: blocks become d·q + m and d·q, low nibbles first", () => {
  const nibbles = Array.from({ length: 16 }, (_, j) => j | ((15 - j) << 4));
  const codes = Array.from({ length: 32 }, (_, i) => (i - 16) & 255);
  const { tensors } = readGguf(ggufOf([], [
    ["a", [1, 32], Q4_1, Uint8Array.from([...HALF, ...MINUS_TWO, ...nibbles])],
    ["b", [32], Q8_0, Uint8Array.from([...ONE, ...codes])],
    ["c", [2], F32, floats(3, -4)],
  ]));
  assertEquals(tensors.get("a")!.shape, [1, 32]);
  assertEquals(
    [...tensors.get("a")!.read()],
    Array.from({ length: 32 }, (_, i) => 0.5 * (i < 16 ? i : 31 - i) - 2),
  );
  assertEquals(
    [...tensors.get("b")!.read()],
    Array.from({ length: 32 }, (_, i) => i - 16),
  );
  assertEquals([...tensors.get("c")!.read()], [3, -4]);
});

Deno.test("unpaired: rows that turn together, side by side in the file, stand half a head apart", () => {
  // two heads of four rows, one column
  const w = Float32Array.from([0, 2, 1, 3, 4, 6, 5, 7]);
  assertEquals([...unpaired(w, 2, 4, 1)], [0, 1, 2, 3, 4, 5, 6, 7]);
});

const WORDS = ["<end>", ...CHAR_OF_BYTE, "ab"];
const KEYS: Field[] = [
  ["general.architecture", 8, "llama"],
  ["tokenizer.ggml.model", 8, "gpt2"],
  ["tokenizer.ggml.pre", 8, "smollm"],
  ["llama.attention.head_count", 4, 2],
  ["llama.attention.head_count_kv", 4, 1],
  ["llama.embedding_length", 4, 8],
  ["llama.feed_forward_length", 4, 8],
  ["llama.block_count", 4, 1],
  ["llama.context_length", 4, 64],
  ["llama.attention.layer_norm_rms_epsilon", 6, 1e-5],
  ["llama.rope.freq_base", 6, 1e5],
  ["tokenizer.ggml.tokens", 9, WORDS],
  ["tokenizer.ggml.token_type", 9, WORDS.map((_, i) => i === 0 ? 3 : 1)],
  ["tokenizer.ggml.merges", 9, ["a b"]],
  ["tokenizer.ggml.bos_token_id", 4, 0],
  ["tokenizer.ggml.eos_token_id", 4, 0],
  ["tokenizer.ggml.padding_token_id", 4, 0],
  ["tokenizer.chat_template", 8, "{{ messages }}"],
];

Deno.test("checkpointOf: config, tokenizer and names as Hugging Face has them", () => {
  const { files, tensors } = checkpointOf(readGguf(ggufOf(KEYS, [
    ["token_embd.weight", [4, 8], F32, floats(...new Array(32).fill(1))],
    ["blk.0.attn_q.weight", [8, 8], F32, floats(...new Array(64).fill(1))],
  ])));
  const config = JSON.parse(files["config.json"]);
  assertEquals(config.rms_norm_eps, 1e-5);
  assertEquals(config.tie_word_embeddings, true);
  assertEquals(tensors.map((t) => t.name), [
    "model.embed_tokens.weight",
    "model.layers.0.self_attn.q_proj.weight",
  ]);
  assertEquals(
    new Uint16Array((tensors[0].data() as Uint8Array).buffer)[0],
    0x3c00,
  );
  const tokenizer = readTokenizer(files["tokenizer.json"]);
  assertEquals(tokenizer.encode("ab", { special: false }), [257]);
  assertEquals(tokenizer.idOf("<end>"), 0);
});

Deno.test("what is not a Llama in GGUF is refused", () => {
  assertThrows(() => readGguf(new Uint8Array(64)), RangeError, '"GGUF"');
  const other = KEYS.map((k): Field => k[2] === "gpt2" ? [k[0], 8, "bert"] : k);
  const error = assertThrows(
    () => checkpointOf(readGguf(ggufOf(other, []))),
    RangeError,
  );
  assert(String(error).includes('must be "gpt2"'));
});
