/**
 * The toy model quantized into a model file in memory, with its own tokenizer:
 * everything from photo to text runs in milliseconds.
 * @module
 */
import { openModelFile } from "../../src/format/model_file.ts";
import { writeModelFile } from "../../src/format/write_model.ts";
import { bytesSource } from "../../src/format/source.ts";
import { float64 } from "../../src/graph/executor.ts";
import { newSequence } from "../../src/graph/runner.ts";
import { runText, runVision } from "../../src/graph/run.ts";
import { float32Engine } from "../../src/float/engine.ts";
import { describe } from "../../src/models/mod.ts";
import { emit } from "../../src/quantize/emit.ts";
import { quantize, type Quantized } from "../../src/quantize/quantize.ts";
import { RECIPES } from "../../src/quantize/recipe.ts";
import { simulate } from "../../src/quantize/simulate.ts";
import { suppress } from "../../src/quantize/suppress.ts";
import type { Image } from "../../src/image/image.ts";
import { Engine } from "../../src/execute/engine.ts";
import type { EngineOptions } from "../../src/execute/options.ts";
import type { PixelScale } from "../../src/execute/pixels.ts";
import {
  readStaticModel,
  type StaticModel,
} from "../../src/graph/static_model.ts";
import { toyTokenizerJson } from "../toy_tokenizer.ts";
import { randomTensor, toyCheckpoint } from "../toy.ts";

/** Entries of the toy tokenizer: 256 bytes, 34 merges, `<image>`, `<end>`. */
export const VOCABULARY = 304;
const IMAGE = 300, END = 301;

/** How the toy is made. */
export interface ToyOptions {
  readonly recipe?: string;
  readonly tied?: boolean;
  /** Split channel 0 off before every rotated linear. */
  readonly split?: boolean;
}

/** A quantized toy. */
export interface Toy {
  readonly bytes: Uint8Array;
  readonly quantized: Quantized;
  readonly model: StaticModel;
}

/** (byte / 255 − 0.5) / 0.5. */
export const PIXELS: PixelScale = {
  rescale: 1 / 255,
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
};

/** A pseudo-random picture of the toy's size, 16 × 16. */
export function toyPixels(seed: number): Image {
  const data = Uint8Array.from(
    { length: 16 * 16 * 3 },
    (_, i) => Math.imul(i + seed * 7919, 0x9e3779b1) >>> 13,
  );
  return { width: 16, height: 16, data };
}

/** The same as normalised patches, [16, 48] in (c, y, x) order. */
export function toyPatches({ data }: Image): Float64Array {
  const out = new Float64Array(16 * 48);
  for (let i = 0; i < out.length; i++) {
    const p = Math.floor(i / 48), c = Math.floor(i / 16) % 3;
    const y = Math.floor(p / 4) * 4 + Math.floor(i / 4) % 4;
    const x = p % 4 * 4 + i % 4;
    out[i] = (data[(y * 16 + x) * 3 + c] / 255 - 0.5) / 0.5;
  }
  return out;
}

/** A prompt with the image between text: 4 image tokens, 9 text tokens. */
export const PROMPT: readonly number[] = [
  ...[1, 20, 3],
  ...[IMAGE, IMAGE, IMAGE, IMAGE],
  ...[3, 33, 121, 9, 260, 17],
];

const made = new Map<string, Toy>();

/** The toy under options; made once. */
export function toy(options: ToyOptions = {}): Toy {
  const { recipe = "w4a8", tied = true, split = false } = options;
  const key = `${recipe} ${tied} ${split}`;
  let result = made.get(key);
  if (!result) made.set(key, result = make(recipe, tied, split));
  return result;
}

function make(name: string, tied: boolean, split: boolean): Toy {
  const { tensors, config } = toyCheckpoint({ tied });
  const wide = new Map(tensors);
  for (
    const table of ["model.text_model.embed_tokens.weight", "lm_head.weight"]
  ) {
    if (wide.has(table)) {
      wide.set(table, randomTensor(table, [VOCABULARY, 48], 0.5));
    }
  }
  const text = config.text_config as Record<string, unknown>;
  const model = describe({
    tensors: wide,
    config: {
      ...config,
      image_token_id: IMAGE,
      eos_token_id: END,
      text_config: { ...text, vocab_size: VOCABULARY },
    },
  });
  const samples = [1, 2, 3].map((seed) => ({
    patches: toyPatches(toyPixels(seed)),
    ids: PROMPT,
    answer: [17, 40, END],
  }));
  const recipe = RECIPES[name];
  const quantized = quantize(
    model,
    samples,
    split
      ? { ...recipe, passes: [...recipe.passes, suppress({ trigger: 0 })] }
      : recipe,
    float32Engine(),
  );
  const path = Deno.makeTempFileSync({ suffix: ".safetensors" });
  try {
    writeModelFile(path, emit(quantized, assets()));
    const bytes = Deno.readFileSync(path);
    return { bytes, quantized, model: readToy(bytes) };
  } finally {
    Deno.removeSync(path);
  }
}

/** A checked model over bytes. */
export function readToy(bytes: Uint8Array): StaticModel {
  return readStaticModel(openModelFile(bytesSource(bytes, "toy.safetensors")));
}

function assets(): Record<string, Uint8Array> {
  const added = ["<image>", "<end>"].map((content, i) => ({
    id: IMAGE + i,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  }));
  const files = {
    "tokenizer.json": toyTokenizerJson({ added_tokens: added }),
    "tokenizer_config.json": JSON.stringify({ eos_token: "<end>" }),
    "preprocessor_config.json": JSON.stringify({
      do_resize: true,
      size: { height: 16, width: 16 },
      resample: 2,
      do_rescale: true,
      rescale_factor: 1 / 255,
      do_normalize: true,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
      do_image_splitting: false,
    }),
    "chat_template.jinja":
      "{% for m in messages %}{{ m.role }}:{% for c in m.content %}" +
      "{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}" +
      "{% endfor %}<end>{% endfor %}assistant:",
  };
  const encoder = new TextEncoder();
  return Object.fromEntries(
    Object.entries(files).map(([name, text]) => [name, encoder.encode(text)]),
  );
}

/** A started engine over a toy. */
export function toyEngine(
  made: Toy,
  options: EngineOptions = { threads: 1 },
): Promise<Engine> {
  return Engine.create(made.model, PIXELS, options);
}

/** Logits of the prompt and of tokens behind it, one after the other. */
export async function engineLogits(
  engine: Engine,
  more: readonly number[] = [17, 40],
): Promise<Float32Array> {
  engine.reset();
  const image = await engine.encode(toyPixels(9));
  const out = [...await engine.prefill(PROMPT, image)];
  for (const id of more) out.push(...await engine.decode(id));
  return Float32Array.from(out);
}

/** The prompt's logits by the interpreter in float64, in the natural order of tokens. */
export function simulatedLogits(
  { quantized }: Pick<Toy, "quantized">,
  seed: number,
): Float64Array {
  const { loaded, hooks } = simulate(quantized, float64);
  const image = runVision(loaded, toyPatches(toyPixels(seed)), hooks);
  const sequence = newSequence();
  const logits = runText(loaded, [{ sequence, ids: PROMPT, image }], hooks);
  return Float64Array.from(logits);
}

/** |x − y| / |y|. */
export function distance(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let d = 0, s = 0;
  for (let i = 0; i < y.length; i++) {
    d += (x[i] - y[i]) ** 2;
    s += y[i] ** 2;
  }
  return Math.sqrt(d / s);
}
