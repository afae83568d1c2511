/**
 * Writes models of real size with random weights, for measurements of time and
 * memory: a float checkpoint in Hugging Face's layout, or directly a static W4A8 file
 * without calibration. Their answers are meaningless. NAME is one of
 * tests/golden/real_sizes.json.
 *
 *     deno run --allow-read --allow-write tools/random_checkpoint.ts NAME OUT_DIR [--seed 1]
 *     deno run --allow-read --allow-write tools/random_checkpoint.ts NAME OUT.safetensors --static [--bits 4] [--head 8]
 *
 * @module
 */
import { join } from "@std/path";
import { parseArgs } from "node:util";
import { writeSafetensors } from "../src/format/write.ts";
import { writeModelFile } from "../src/format/write_model.ts";
import { headScale, siteScale } from "../src/graph/names.ts";
import type { ModelInfo } from "../src/graph/info.ts";
import { describe } from "../src/models/mod.ts";
import { FILTER_BITS } from "../src/quantize/bits.ts";
import { emit } from "../src/quantize/emit.ts";
import type { IntegerWeight } from "../src/quantize/gptq.ts";
import type { Quantized } from "../src/quantize/quantize.ts";
import { RECIPES } from "../src/quantize/recipe.ts";
import { f32ToF16 } from "../src/tensor/float16.ts";
import { normal, random, seedOf } from "../src/tensor/random.ts";
import { sizeOf, type Tensor } from "../src/tensor/tensor.ts";
import { toyTokenizerJson } from "../tests/toy_tokenizer.ts";
import { REAL, realCheckpoint, transformed } from "../tests/models/real.ts";

/** Normally distributed numbers of deviation `std` around `mean`, from a table of 65,536: a billion in seconds. */
export function numbers(seed: number, size: number, std: number, mean = 0) {
  const next = random(seed);
  const table = Float32Array.from(
    { length: 65536 },
    () => mean + std * normal(next),
  );
  const out = new Uint16Array(size), halves = f32ToF16(table);
  for (let i = 0; i < size; i += 2) {
    const r = next();
    out[i] = halves[r & 0xffff];
    if (i + 1 < size) out[i + 1] = halves[r >>> 16];
  }
  return out;
}

/** The token that stands for a row of an image in its text: the one written most often. */
function placeholder(text: string): string {
  const counts = new Map<string, number>();
  for (const [token] of text.matchAll(/<[^<>]+>/g)) {
    counts.set(token, (counts.get(token) ?? 0) + 1);
  }
  return [...counts].reduce((a, b) => b[1] > a[1] ? b : a, ["<image>", 0])[0];
}

/** Tokenizer, chat template and image settings that go with no trained model. */
function assetsOf(info: ModelInfo): Record<string, string> {
  const { image } = info, [end = 1] = info.stopIds;
  const token = image ? image.tokenText ?? placeholder(image.text) : "";
  const added = [
    ...(image ? [{ id: image.tokenId, content: token }] : []),
    { id: end, content: "<end>" },
  ].filter(({ id }) => id >= 290).map((token) => ({
    ...token,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  }));
  const content = image
    ? `{% for c in m.content %}{% if c.type == 'image' %}${
      image.templateToken ?? token
    }{% else %}{{ c.text }}{% endif %}{% endfor %}`
    : "{{ m.content }}";
  const files = {
    "tokenizer.json": toyTokenizerJson({ added_tokens: added }),
    "chat_template.jinja":
      `{% for m in messages %}{{ m.role }}:${content}\n{% endfor %}assistant:`,
  };
  return image
    ? {
      ...files,
      "preprocessor_config.json": JSON.stringify({
        size: { height: image.height, width: image.width },
        resample: 3,
        image_mean: [0.5, 0.5, 0.5],
        image_std: [0.5, 0.5, 0.5],
        do_image_splitting: false,
      }),
    }
    : files;
}

/** Writes a float16 checkpoint, tensor by tensor. */
export function randomCheckpoint(name: string, out: string, seed = 1): void {
  const checkpoint = realCheckpoint(name);
  const { info } = describe(checkpoint);
  const data = (tensor: string, { shape }: Tensor) => {
    const gain = shape.length === 1 && tensor.endsWith("weight");
    const std = shape.length > 1 ? (sizeOf(shape) / shape[0]) ** -0.5 : 0.02;
    return numbers(seedOf(seed, tensor), sizeOf(shape), std, gain ? 1 : 0);
  };
  Deno.mkdirSync(out, { recursive: true });
  const files = {
    ...assetsOf(info),
    "config.json": JSON.stringify(checkpoint.config, null, 1),
  };
  for (const [file, text] of Object.entries(files)) {
    Deno.writeTextFileSync(join(out, file), text);
  }
  writeSafetensors(join(out, "model.safetensors"), {
    metadata: { format: "pt" },
    tensors: [...checkpoint.tensors].map(([tensor, t]) => ({
      name: tensor,
      dtype: "F16",
      shape: t.shape,
      data: () => data(tensor, t),
    })),
  });
}

/** Writes a static model file of random values; every linear has `bits`, table and head `head`. */
export function randomModelFile(
  name: string,
  out: string,
  { seed = 1, bits = 4, head = 8 } = {},
): void {
  const model = transformed(name);
  const weights = new Map<string, IntegerWeight>();
  const vectors = new Map<string, Float32Array>();
  const add = (weight: string, n: number, k: number, bits: number) => {
    const range = 2 ** bits;
    const scale = new Float32Array(n).fill(k ** -0.5 * Math.sqrt(12) / range);
    weights.set(weight, {
      bits,
      n,
      k,
      scale,
      get values() { // made when written, so that one tensor at a time is in memory
        const next = random(seedOf(seed, weight)), all = new Int8Array(n * k);
        for (let i = 0; i < all.length; i++) {
          all[i] = (next() >>> (32 - bits)) - range / 2;
        }
        return all;
      },
    });
  };
  const same = (value: number, count: number) =>
    new Float32Array(count).fill(value);
  for (const node of model.nodes) {
    if (node.op === "embedding") {
      add(node.weight, model.info.vocabulary, node.width, head);
    }
    if (node.op === "depthwise_conv2d") {
      const { weight, width, kernelSize } = node;
      add(weight, width, kernelSize ** 2, FILTER_BITS);
      vectors.set(siteScale(node), same(1 / 32, 1));
    }
    if (node.op === "linear") {
      const last = node === model.nodes.at(-1);
      if (!weights.has(node.weight)) {
        add(node.weight, node.n, node.k, last ? head : bits);
      }
      vectors.set(
        siteScale(node),
        same(1 / 32, node.phase === "vision" ? 1 : 2),
      );
    }
    if (node.op === "attention") {
      for (const part of ["q", "k", "v"] as const) {
        const heads = part === "q" ? node.heads : node.kvHeads;
        vectors.set(headScale(node, part), same(1 / 32, heads));
      }
    }
  }
  const params = new Map([...model.params].map(([param, { shape }]) => {
    const read = () => {
      const next = random(seedOf(seed, param));
      return Float64Array.from({ length: sizeOf(shape) }, () => normal(next));
    };
    return [param, { shape, read }];
  }));
  const quantized: Quantized = {
    model: { ...model, params },
    recipe: { ...RECIPES.w4a8, name: `random values, w${bits}a8` },
    weights,
    vectors,
  };
  const encoder = new TextEncoder();
  const assets = Object.fromEntries(
    Object.entries(assetsOf(model.info))
      .map(([file, text]) => [file, encoder.encode(text)]),
  );
  writeModelFile(out, emit(quantized, assets, { source: `${name}, random` }));
}

if (import.meta.main) {
  const { values, positionals: [name, out] } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      static: { type: "boolean", default: false },
      seed: { type: "string", default: "1" },
      bits: { type: "string", default: "4" },
      head: { type: "string", default: "8" },
    },
  });
  if (out === undefined || !REAL.includes(name)) {
    console.error(
      `usage: random_checkpoint.ts NAME OUT [--static]\nNAME is one of ${
        REAL.join(", ")
      }`,
    );
    Deno.exit(2);
  }
  const seed = Number(values.seed), bits = Number(values.bits);
  const head = Number(values.head);
  if (values.static) randomModelFile(name, out, { seed, bits, head });
  else randomCheckpoint(name, out, seed);
  console.error(out);
}
