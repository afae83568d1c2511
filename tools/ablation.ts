/**
 * Runs one step of the ablation: quantizes a checkpoint with the recipe of that
 * name in `ABLATION`, runs the file in the runtime, and appends one line
 * of JSON. A model that takes images is measured by its captions, any other by
 * the perplexity of a text. Two steps are references:
 * `float`, and `rtn-dynamic`, whose activations get a scale per row (simulated).
 *
 *     deno run --allow-read --allow-write tools/ablation.ts --step NAME --model DIR \
 *       --calibration PATH --eval PATH --out FILE [--samples N] [--count N] [--length 512] \
 *       [--threads 1]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { openFloatCheckpoint } from "../src/convert/checkpoint.ts";
import { openModelFile } from "../src/format/model_file.ts";
import { fileSource } from "../src/format/source.ts";
import { writeModelFile } from "../src/format/write_model.ts";
import { startFloat32Engine } from "../src/float/engine.ts";
import { emit } from "../src/quantize/emit.ts";
import { quantize } from "../src/quantize/quantize.ts";
import { ABLATION } from "../src/quantize/recipe.ts";
import { readAssets } from "../src/session/assets.ts";
import { Engine } from "../src/execute/engine.ts";
import { readStaticModel } from "../src/graph/static_model.ts";
import { captionSide } from "./ablation/captions.ts";
import type { Job, Measured } from "./ablation/job.ts";
import { textSide } from "./ablation/text.ts";

const FLOAT = "float", DYNAMIC = "rtn-dynamic";
const NAMES = [FLOAT, DYNAMIC, ...ABLATION.map((r) => r.name)];

const { values } = parseArgs({
  options: {
    step: { type: "string", default: "" },
    model: { type: "string", default: "" },
    calibration: { type: "string", default: "" },
    eval: { type: "string", default: "" },
    out: { type: "string", default: "" },
    samples: { type: "string", default: "16" },
    count: { type: "string", default: "32" },
    length: { type: "string", default: "512" },
    threads: { type: "string", default: "1" },
  },
});
if (!NAMES.includes(values.step) || !values.model || !values.out) {
  console.error(
    `usage: ablation.ts --step NAME --model DIR --calibration PATH --eval PATH --out FILE\nNAME is one of ${
      NAMES.join(", ")
    }`,
  );
  Deno.exit(2);
}

using checkpoint = openFloatCheckpoint(values.model);
const job: Job = {
  checkpoint,
  calibration: values.calibration,
  evaluation: values.eval,
  samples: Number(values.samples),
  count: Number(values.count),
  length: Number(values.length),
};
const side = checkpoint.model.info.image ? captionSide(job) : textSide(job);
const threads = Number(values.threads);
using engine = await startFloat32Engine(threads);
const seconds: Record<string, number> = {};

async function timed<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  seconds[what] = Math.round((performance.now() - start) / 1000);
  console.error(`${values.step}: ${what}, ${seconds[what]} s`);
  return result;
}

async function run(): Promise<Measured> {
  if (values.step === FLOAT) {
    return await timed("evaluate", () => side.float(engine));
  }
  const samples = await timed("samples", () => side.samples(engine));
  const recipe = ABLATION.find((r) => r.name === values.step) ?? ABLATION[0];
  const sqnr: number[] = [];
  const quantized = await timed(
    "quantize",
    () =>
      quantize(
        checkpoint.model,
        samples,
        recipe,
        engine,
        (p) => void sqnr.push(p.sqnr),
      ),
  );
  const finite = sqnr.filter(Number.isFinite);
  const mean = finite.reduce((a, b) => a + b, 0) / finite.length;
  if (values.step === DYNAMIC) {
    return {
      ...await timed("evaluate", () => side.dynamic(quantized, engine)),
      sqnr: mean,
    };
  }
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  try {
    writeModelFile(path, emit(quantized, checkpoint.assets));
    using file = openModelFile(fileSource(path));
    const model = readStaticModel(file);
    await using runtime = await Engine.create(
      model,
      readAssets(file, model.info).image,
      { context: Math.min(1024, model.info.maxPositions), threads },
    );
    const measured = await timed(
      "evaluate",
      () => side.static(runtime, engine),
    );
    return { ...measured, sqnr: mean, bytes: Deno.statSync(path).size };
  } finally {
    await Deno.remove(path);
  }
}

const measured = await run();
const { samples, count, length } = job;
const line = {
  step: values.step,
  model: checkpoint.name,
  samples,
  count,
  ...(checkpoint.model.info.image ? {} : { length }),
  ...measured,
  seconds,
};
Deno.writeTextFileSync(values.out, JSON.stringify(line) + "\n", {
  append: true,
});
