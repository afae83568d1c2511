/**
 * The work of `quantize()`, in the calling thread: reads the inputs, generates
 * answers with the float model, quantizes, writes, verifies. Results of each
 * step are written to records, from which a run resumes.
 * @module
 */
import { createHash } from "node:crypto";
import { sweep } from "../format/atomic_write.ts";
import { openModelFile } from "../format/model_file.ts";
import {
  openRecords,
  type RecordFile,
  type Records,
} from "../format/records.ts";
import { fileSource } from "../format/source.ts";
import { verify } from "../format/verify.ts";
import { writeModelFile } from "../format/write_model.ts";
import { startFloat32Engine } from "../float/engine.ts";
import { generate, type Prompt } from "../graph/generate.ts";
import { load } from "../graph/run.ts";
import { VERSION } from "../platform/version.ts";
import { emit } from "../quantize/emit.ts";
import {
  type Engine,
  quantize,
  type Quantized,
  type Sample,
} from "../quantize/quantize.ts";
import { type Recipe, RECIPES } from "../quantize/recipe.ts";
import { photosIn, readPrompts, readWindows } from "./calibration.ts";
import {
  DEFAULT_PROMPT,
  type FloatCheckpoint,
  openFloatCheckpoint,
} from "./checkpoint.ts";
import { QuantizeError, withCode } from "./error.ts";
import { checkFileOpens } from "./opens.ts";
import {
  type Order,
  QUANTIZE_DEFAULTS,
  QUANTIZE_LIMITS,
  type QuantizeProgress,
  type QuantizeResult,
} from "./options.ts";

/** Receives progress, and can stop the work. */
export interface Listener {
  /** Called with progress. */
  report(progress: QuantizeProgress): void;
  /** Throws to stop the work; called before each matmul. */
  throwIfStopped(): void;
}

/** The options with all defaults resolved. */
interface Plan {
  readonly checkpoint: string;
  readonly calibration: string;
  readonly out: string;
  readonly recipe: Recipe;
  readonly samples: number;
  readonly prompts: readonly string[];
  readonly answerTokens: number;
  readonly threads: number | undefined;
}

/**
 * Default calibration prompts: captions, alt text, and questions with short
 * answers, so that the scales fit every kind of answer.
 */
const PROMPTS = [
  DEFAULT_PROMPT,
  "Write alt text for this photo.",
  "What is the main object in this picture?",
  "Is there a person in this picture?",
] as const;

/** Prompts per batch of the float model. */
const BATCH = 16;

/**
 * Quantizes a checkpoint with the options of `order`.
 * @param open opens the records; tests let it fail
 * @throws as `quantize()`
 */
export async function produce(
  order: Order,
  listener: Listener,
  open = openRecords,
): Promise<QuantizeResult> {
  const plan = planOf(order), part = `${plan.out}.part`;
  using checkpoint = await withCode(
    "checkpoint",
    () => openFloatCheckpoint(plan.checkpoint),
  );
  await withCode("checkpoint", () => checkpoint.checkWeights());
  const { prompts, record } = await withCode(
    "calibration",
    () => readCalibration(checkpoint, plan, listener),
  );
  const calibration = JSON.stringify(record);
  {
    const key = keyOf(plan, checkpoint, calibration, prompts);
    using records = await withCode("unfinished", () => open(part, key));
    sweep(plan.out);
    reportResumed(records, listener);
    using threads = await startFloat32Engine(plan.threads);
    const engine = stoppable(threads, listener);
    const samples = checkpoint.model.info.image
      ? await withCode(
        "checkpoint",
        () => answer(checkpoint, prompts, plan, engine, listener, records),
      )
      : prompts.map((prompt) => ({ ...prompt, answer: [] }));
    const quantized = run(checkpoint, samples, plan, engine, listener, records);
    listener.report({ stage: "write", done: 0, total: 1, share: 0 });
    const content = emit(quantized, checkpoint.assets, {
      source: checkpoint.name,
      calibration,
      tool: `mquant ${VERSION}`,
    });
    writeModelFile(plan.out, content, mustOpen);
  }
  const result = await verified(plan.out);
  Deno.removeSync(part);
  listener.report({ stage: "write", done: 1, total: 1, share: 1 });
  return result;
}

/** Resolves the defaults of the options. */
function planOf(order: Order): Plan {
  const {
    recipe = QUANTIZE_DEFAULTS.recipe,
    samples = QUANTIZE_DEFAULTS.samples,
    answerTokens = QUANTIZE_DEFAULTS.answerTokens,
    threads,
  } = order;
  const fail = (problem: string): never => {
    throw new QuantizeError("option", `Cannot quantize: ${problem}`);
  };
  if (!Object.hasOwn(RECIPES, recipe)) {
    const names = Object.keys(RECIPES).join(", ");
    fail(
      `there is no recipe ${JSON.stringify(recipe)}; choose one of ${names}`,
    );
  }
  const numbers = {
    samples,
    answerTokens,
    ...(threads === undefined ? {} : { threads }),
  };
  for (const [name, value] of Object.entries(numbers)) {
    const [least, most] = QUANTIZE_LIMITS[name as keyof typeof QUANTIZE_LIMITS];
    if (Number.isInteger(value) && value >= least && value <= most) continue;
    fail(
      `${name} must be a whole number from ${least} to ${most}: current value is ${value}`,
    );
  }
  for (const name of ["checkpoint", "calibration", "out"] as const) {
    if (typeof order[name] === "string" && order[name] !== "") continue;
    fail(`${name} is missing; give a path`);
  }
  const prompts = order.prompts ?? PROMPTS;
  if (prompts.length === 0) {
    fail("prompts is empty; give at least one, or leave it out");
  }
  const { checkpoint, calibration, out } = order;
  return {
    ...{
      checkpoint,
      calibration,
      out,
      samples,
      prompts,
      answerTokens,
      threads,
    },
    recipe: RECIPES[recipe],
  };
}

/**
 * Calibration prompts and their description for the file: photos with
 * questions, or text windows for a text-only model.
 */
async function readCalibration(
  checkpoint: FloatCheckpoint,
  { calibration, samples, prompts: questions }: Plan,
  { report, throwIfStopped }: Listener,
): Promise<{ prompts: Prompt[]; record: Record<string, unknown> }> {
  if (!checkpoint.model.info.image) {
    const { prompts, sha256 } = readWindows(checkpoint, calibration, samples);
    return { prompts, record: { windows: prompts.length, sha256 } };
  }
  const photos = photosIn(calibration).slice(0, samples);
  const total = photos.length;
  const { prompts, sha256 } = await readPrompts(
    checkpoint,
    photos,
    questions,
    (done) => {
      report({ stage: "read", done, total, share: done / total });
      throwIfStopped();
    },
  );
  return { prompts, record: { photos: total, sha256, questions } };
}

/** Key of the inputs: records with another key are not resumed. */
function keyOf(
  { recipe, answerTokens }: Plan,
  checkpoint: FloatCheckpoint,
  calibration: string,
  prompts: readonly Prompt[],
): string {
  const choices = { ...recipe, passes: recipe.passes.map((p) => p.name) };
  const hash = createHash("sha256").update(JSON.stringify([
    VERSION,
    checkpoint.sha256(),
    calibration,
    answerTokens,
    choices,
  ]));
  for (const { ids, grids, patches } of prompts) {
    hash.update(JSON.stringify([ids, grids]));
    hash.update(Float32Array.from(patches ?? []));
  }
  return hash.digest("hex");
}

function reportResumed({ size }: RecordFile, { report }: Listener) {
  if (size === 0) return;
  report({ stage: "resume", done: size, total: size, share: 1 });
}

/** `engine` with a stop check before each matmul. */
function stoppable(engine: Engine, { throwIfStopped }: Listener): Engine {
  const asking = Object.entries(engine).map(([name, work]) => [
    name,
    (...args: unknown[]) => {
      throwIfStopped();
      return work(...args);
    },
  ]);
  return Object.fromEntries(asking);
}

/** The float model's greedy answers, which represent decoding in calibration. */
function answer(
  { model }: FloatCheckpoint,
  prompts: readonly Prompt[],
  { answerTokens }: Plan,
  engine: Engine,
  { report }: Listener,
  records: Records,
): Sample[] {
  const loaded = load(model, engine), total = prompts.length;
  const answered: Sample[] = [];
  report({ stage: "answer", done: 0, total, share: 0 });
  for (let i = 0; i < total; i += BATCH) {
    const batch = prompts.slice(i, i + BATCH);
    if (!records.has(`answers ${i}`)) {
      const answers = generate(loaded, batch, answerTokens);
      records.add(
        `answers ${i}`,
        Object.fromEntries(answers.map((ids, j) => [j, Int32Array.from(ids)])),
      );
    }
    const answers = records.read(`answers ${i}`)!;
    batch.forEach((prompt, j) => {
      const answer = [...answers[j] as Int32Array];
      const ended = answer.length < answerTokens;
      const stop = ended ? model.info.stopIds.slice(0, 1) : [];
      answered.push({ ...prompt, answer: [...answer, ...stop] });
    });
    const done = answered.length;
    report({ stage: "answer", done, total, share: done / total });
  }
  return answered;
}

function run(
  { model }: FloatCheckpoint,
  samples: readonly Sample[],
  { recipe }: Plan,
  engine: Engine,
  { report }: Listener,
  records: Records,
): Quantized {
  return quantize(
    model,
    samples,
    recipe,
    engine,
    ({ id, done, total, sqnr, share }) =>
      report({ stage: "quantize", done, total, share, linear: id, sqnr }),
    records,
  );
}

/**
 * Checks that the file opens: values that are finite in the checkpoint can
 * overflow when passes multiply them.
 */
function mustOpen(path: string) {
  try {
    checkFileOpens(path);
  } catch (cause) {
    throw new QuantizeError(
      "checkpoint",
      `Cannot quantize the checkpoint: a model file of it would not open (${
        (cause as Error).message.split(";")[0]
      }); check its weights, some may be far too large`,
      { cause },
    );
  }
}

/** Reads the file back and compares its checksums. */
async function verified(path: string): Promise<QuantizeResult> {
  using source = fileSource(path);
  const file = openModelFile(source);
  await verify(source, file.whole);
  const hash = createHash("sha256"), chunk = new Uint8Array(1 << 22);
  const bytes = Deno.statSync(path).size;
  for (let at = 0; at < bytes; at += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, bytes - at));
    source.read(at, part);
    hash.update(part);
  }
  return { path, bytes, sha256: hash.digest("hex") };
}
