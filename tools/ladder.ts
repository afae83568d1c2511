/**
 * The ablation ladder: each rung of `LADDER` quantized from one checkpoint and
 * run by the real runtime on held-out photos. Prints one row per rung: CIDEr-D,
 * captions equal to float, and under teacher forcing (the float caption fed in)
 * how often the next word agrees and the mean KL divergence from float.
 *
 *     deno run --allow-read --allow-write tools/ladder.ts CHECKPOINT --calibration DIR --eval DIR [--samples 32] [--images 100]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { openFloatCheckpoint } from "../src/cli/checkpoint.ts";
import { photosIn, readPrompts } from "../src/cli/samples.ts";
import { readReferences } from "../src/cli/references.ts";
import { ciderD } from "../src/evaluate/cider.ts";
import { openModelFile } from "../src/format/model_file.ts";
import { writeModelFile } from "../src/format/write_model.ts";
import { fileSource } from "../src/format/source.ts";
import { argmax } from "../src/tensor/argmax.ts";
import { encodeImages, generate } from "../src/graph/generate.ts";
import {
  load,
  type Loaded,
  newSequence,
  runText,
} from "../src/graph/interpreter.ts";
import type { Prompt } from "../src/graph/generate.ts";
import { decode } from "../src/image/decode.ts";
import { preprocess, readImagePlan } from "../src/image/preprocess.ts";
import { float32Engine } from "../src/kernels/engine.ts";
import { emit } from "../src/quantize/emit.ts";
import { quantize } from "../src/quantize/quantize.ts";
import { LADDER, type Recipe } from "../src/quantize/recipe.ts";
import { readAssets } from "../src/runtime/assets.ts";
import { Engine } from "../src/runtime/engine.ts";
import { readStaticModel } from "../src/runtime/static_model.ts";

const MAX_TOKENS = 40, BATCH = 16;

const { values, positionals: [folder] } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    calibration: { type: "string", default: "" },
    eval: { type: "string", default: "" },
    samples: { type: "string", default: "32" },
    images: { type: "string", default: "100" },
    only: { type: "string" },
  },
});

/** Log-probabilities of a row of logits. */
function logSoftmax(logits: ArrayLike<number>): Float64Array {
  let max = -Infinity, sum = 0;
  for (let i = 0; i < logits.length; i++) max = Math.max(max, logits[i]);
  const out = Float64Array.from(logits as ArrayLike<number>, (v) => v - max);
  for (const v of out) sum += Math.exp(v);
  const log = Math.log(sum);
  return out.map((v) => v - log);
}

/** Σ p·(log p − log q). */
function divergence(p: Float64Array, q: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += Math.exp(p[i]) * (p[i] - q[i]);
  return sum;
}

/** Next-word log-probabilities of the float model along each answer. */
function floatSteps(
  loaded: Loaded,
  prompt: Prompt,
  answer: readonly number[],
): Float64Array[] {
  const [image] = encodeImages(loaded, [prompt]), sequence = newSequence();
  const steps = [
    logSoftmax(runText(loaded, [{ sequence, ids: prompt.ids, image }])),
  ];
  for (const id of answer) {
    steps.push(logSoftmax(runText(loaded, [{ sequence, ids: [id] }])));
  }
  return steps;
}

function batched<T, R>(items: readonly T[], f: (batch: T[]) => R[]): R[] {
  const out: R[] = [];
  for (let i = 0; i < items.length; i += BATCH) {
    out.push(...f(items.slice(i, i + BATCH)));
  }
  return out;
}

using checkpoint = openFloatCheckpoint(folder);
const engine = float32Engine(), float = load(checkpoint.model, engine);
const { stopIds } = checkpoint.model.info;
const text = (ids: number[]) => checkpoint.tokenizer.decode(ids).trim();
const photos = photosIn(values.calibration).slice(0, Number(values.samples));
const { prompts: calibration } = await readPrompts(
  checkpoint,
  photos,
  ["Describe this image."],
);
const answers = batched(calibration, (b) => generate(float, b, MAX_TOKENS));
const samples = calibration.map((p, i) => ({
  ...p,
  answer: [...answers[i], stopIds[0]],
}));

const references = readReferences(values.eval).captions
  .slice(0, Number(values.images));
const { prompts } = await readPrompts(
  checkpoint,
  references.map((r) => r.path),
  ["Describe this image."],
);
const spoken = references.map((r) => r.texts);
const plan = readImagePlan(JSON.stringify(checkpoint.processor));
const pixels = await Promise.all(
  references.map(async (r) =>
    preprocess(await decode(Deno.readFileSync(r.path)), plan).tiles[0]
  ),
);
const truth = batched(prompts, (b) => generate(float, b, MAX_TOKENS));
const steps = prompts.map((p, i) => floatSteps(float, p, truth[i]));
console.log(
  `float: CIDEr-D ${
    ciderD(truth.map(text), spoken).mean.toFixed(4)
  } on ${references.length} photos`,
);

async function rung(recipe: Recipe): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  const seen: number[] = [];
  writeModelFile(
    path,
    emit(
      quantize(
        checkpoint.model,
        samples,
        recipe,
        engine,
        (p) => void seen.push(p.sqnr),
      ),
      checkpoint.assets,
    ),
  );
  using file = openModelFile(fileSource(path));
  const model = readStaticModel(file);
  await using runtime = await Engine.create(
    model,
    readAssets(file, model.info).image,
    { context: 128 },
  );
  const captions: string[] = [];
  let same = 0, agree = 0, kl = 0, count = 0;
  for (const [i, { ids }] of prompts.entries()) {
    const image = await runtime.encode(pixels[i]);
    runtime.reset();
    let logits = await runtime.prefill(ids, image);
    const answer: number[] = [];
    while (answer.length < MAX_TOKENS && !stopIds.includes(argmax(logits))) {
      answer.push(argmax(logits));
      logits = await runtime.decode(answer.at(-1)!);
    }
    captions.push(text(answer));
    if (answer.join() === truth[i].join()) same++;
    runtime.reset();
    logits = await runtime.prefill(ids, image);
    for (let t = 0; t < steps[i].length; t++) {
      const got = logSoftmax(logits);
      if (argmax(got) === argmax(steps[i][t])) agree++;
      kl += divergence(steps[i][t], got);
      count++;
      if (t < truth[i].length) logits = await runtime.decode(truth[i][t]);
    }
  }
  await Deno.remove(path);
  const finite = seen.filter(Number.isFinite);
  const row = {
    rung: recipe.name,
    cider: ciderD(captions, spoken).mean,
    identical: same / prompts.length,
    top1: agree / count,
    kl: kl / count,
    sqnr: finite.reduce((a, b) => a + b, 0) / finite.length,
  };
  console.log(JSON.stringify(row));
}

for (const recipe of LADDER) {
  if (!values.only || values.only.split(",").includes(recipe.name)) {
    await rung(recipe);
  }
}
