/** A GGUF file is the checkpoint that it was made from. */
import { assertEquals, assertThrows } from "@std/assert";
import { openCheckpoint } from "../../src/format/checkpoint.ts";
import { FormatError } from "../../src/format/error.ts";
import { openFloatCheckpoint } from "../../src/convert/checkpoint.ts";
import { halves } from "../../src/convert/gguf.ts";
import { type FloatTensor, ggufFile, type Value } from "./writer.ts";

type Json = Record<string, unknown>;
const folderOf = (toy: string) =>
  new URL(`../golden/${toy}/`, import.meta.url).pathname;
const read = (toy: string, name: string) =>
  Deno.readTextFileSync(folderOf(toy) + name);

/** transformers' names → llama.cpp's (gguf-py, gguf/tensor_mapping.py). */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^model\.embed_tokens\./, "token_embd."],
  [/^model\.norm\./, "output_norm."],
  [/^lm_head\./, "output."],
  [/^model\.layers\.(\d+)\.input_layernorm\./, "blk.$1.attn_norm."],
  [/^model\.layers\.(\d+)\.post_attention_layernorm\./, "blk.$1.ffn_norm."],
  [/^model\.layers\.(\d+)\.self_attn\.o_proj\./, "blk.$1.attn_output."],
  [/^model\.layers\.(\d+)\.self_attn\.([qk])_norm\./, "blk.$1.attn_$2_norm."],
  [/^model\.layers\.(\d+)\.self_attn\.([qkv])_proj\./, "blk.$1.attn_$2."],
  [/^model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj\./, "blk.$1.ffn_$2."],
];

/** Keys and tensors of a toy as llama.cpp's convert_hf_to_gguf.py writes them. */
function converted(toy: string) {
  const config = JSON.parse(read(toy, "config.json"));
  const { model, added_tokens: added } = JSON.parse(
    read(toy, "tokenizer.json"),
  );
  const arch = config.model_type as string;
  const tokens: string[] = [], types: number[] = [];
  for (let id = 0; id < config.vocab_size; id++) {
    tokens.push(`[PAD${id}]`);
    types.push(5);
  }
  for (const [text, id] of Object.entries(model.vocab as Json)) {
    tokens[id as number] = text;
    types[id as number] = 1;
  }
  for (const { id, content } of added) {
    tokens[id] = content;
    types[id] = 3;
  }
  const keys: Record<string, Value> = {
    "general.architecture": arch,
    [`${arch}.context_length`]: config.max_position_embeddings,
    [`${arch}.embedding_length`]: config.hidden_size,
    [`${arch}.block_count`]: config.num_hidden_layers,
    [`${arch}.feed_forward_length`]: config.intermediate_size,
    [`${arch}.attention.head_count`]: config.num_attention_heads,
    [`${arch}.attention.head_count_kv`]: config.num_key_value_heads,
    [`${arch}.attention.layer_norm_rms_epsilon`]: {
      float: config.rms_norm_eps,
    },
    [`${arch}.rope.freq_base`]: { float: config.rope_parameters.rope_theta },
    ...config.head_dim &&
      { [`${arch}.attention.key_length`]: config.head_dim },
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "qwen2",
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": types,
    "tokenizer.ggml.merges": model.merges.map((m: string[]) => m.join(" ")),
    "tokenizer.ggml.eos_token_id": config.eos_token_id,
    "tokenizer.chat_template": read(toy, "chat_template.jinja"),
  };
  using file = openCheckpoint(folderOf(toy));
  const tensors = [...file.tensors.values()].map((stored): FloatTensor => {
    const { name, shape } = stored;
    const values = Float32Array.from(stored.read() as Float32Array);
    const part = /self_attn\.([qk])_proj/.exec(name)?.[1];
    if (arch === "llama" && part) {
      const heads = part === "q"
        ? config.num_attention_heads
        : config.num_key_value_heads;
      const width = values.length / shape[0], from = halves(shape[0], heads);
      const paired = new Float32Array(values.length);
      for (let row = 0; row < shape[0]; row++) {
        paired.set(
          values.subarray(row * width, (row + 1) * width),
          from(row) * width,
        );
      }
      values.set(paired);
    }
    return {
      name: name.replace(...NAMES.find(([pattern]) => pattern.test(name))!),
      shape,
      values,
    };
  });
  return { keys, tensors };
}

function withFile(bytes: Uint8Array, work: (path: string) => void) {
  const path = Deno.makeTempFileSync({ suffix: ".gguf" });
  try {
    Deno.writeFileSync(path, bytes);
    work(path);
  } finally {
    Deno.removeSync(path);
  }
}

for (const toy of ["llama-toy", "qwen2-toy", "qwen3-toy"]) {
  Deno.test(`a GGUF file of ${toy} has its weights, tokens and prompts`, () => {
    const { keys, tensors } = converted(toy);
    withFile(ggufFile(keys, tensors), (path) => {
      using want = openFloatCheckpoint(folderOf(toy));
      using got = openFloatCheckpoint(path);
      assertEquals(got.model.info, want.model.info);
      assertEquals(got.model.nodes, want.model.nodes);
      assertEquals([...got.model.params.keys()], [
        ...want.model.params.keys(),
      ]);
      for (const [name, param] of want.model.params) {
        assertEquals(got.model.params.get(name)!.read(), param.read(), name);
      }
      for (
        const text of ["Two dogs, 12 cats", "naïve e\u0301 日本\n\n  x", ""]
      ) {
        assertEquals(got.promptIds(text), want.promptIds(text));
        assertEquals(
          got.tokenizer.encode(text, { special: false }),
          want.tokenizer.encode(text, { special: false }),
        );
      }
      got.checkWeights();
      assertEquals(got.sha256().length, 64);
    });
  });
}

Deno.test("rows of a head: halves in llama.cpp's pairs", () => {
  const rows = Array.from({ length: 8 }, (_, row) => halves(8, 2)(row));
  assertEquals(rows, [0, 2, 1, 3, 4, 6, 5, 7]);
});

Deno.test("what a GGUF file must be is said by name", () => {
  const { keys, tensors } = converted("llama-toy");
  const refused = (
    change: Record<string, Value | undefined>,
    message: string,
    more: readonly FloatTensor[] = [],
  ) => {
    const changed = Object.entries({ ...keys, ...change })
      .filter(([, value]) => value !== undefined) as [string, Value][];
    const bytes = ggufFile(Object.fromEntries(changed), [...tensors, ...more]);
    withFile(
      bytes,
      (path) =>
        assertThrows(() => openFloatCheckpoint(path), FormatError, message),
    );
  };
  refused({ "general.architecture": "mamba" }, '"mamba", known are llama');
  refused({ "llama.block_count": undefined }, '"llama.block_count" is missing');
  refused({ "llama.block_count": "two" }, "must be a finite number");
  refused({ "tokenizer.ggml.tokens": [1, 2] }, "must be a list of texts");
  refused({ "tokenizer.ggml.model": "bert" }, '"bert" with pre-tokenizer');
  refused({ "tokenizer.ggml.pre": "chaos" }, '"chaos", known are "gpt2" with');
  refused({ "llama.rope.scaling.type": "yarn" }, "rotary embedding is scaled");
  const one = Float32Array.of(1);
  refused({}, '"blk.0.strange.weight" is not known', [
    { name: "blk.0.strange.weight", shape: [1], values: one },
  ]);
});
