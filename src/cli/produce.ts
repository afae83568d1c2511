/**
 * From a checkpoint to a model file, with progress: what `quantize` and
 * `bundle` share.
 * @module
 */
import { createHash } from "node:crypto";
import { sweep } from "../format/atomic_write.ts";
import { openRecords, type Records } from "../format/records.ts";
import { writeModelFile } from "../format/write_model.ts";
import { generate } from "../graph/generate.ts";
import type { Prompt } from "../graph/generate.ts";
import { load } from "../graph/interpreter.ts";
import { startFloat32Engine } from "../float/engine.ts";
import { emit } from "../quantize/emit.ts";
import { quantize } from "../quantize/quantize.ts";
import type { Engine, Quantized, Sample } from "../quantize/quantize.ts";
import { RECIPES } from "../quantize/recipe.ts";
import { DEFAULT_PROMPT, openFloatCheckpoint } from "../convert/checkpoint.ts";
import type { FloatCheckpoint } from "../convert/checkpoint.ts";
import { dim, type Io, quiet } from "./io.ts";
import { duration, progress } from "./progress.ts";
import { photosIn, readPrompts, readWindows } from "./samples.ts";
import { THREADS_OPTION } from "./threads.ts";
import { bytes } from "./table.ts";
import { VERSION } from "./version.ts";

/** Options of `quantize` and `bundle`. */
export const QUANTIZE_OPTIONS = {
  samples: {
    type: "integer",
    help: "photos to calibrate with, the first by name, or windows of a text",
    min: 1,
    max: 4096,
    default: 128,
  },
  recipe: {
    type: "string",
    help: "how weights are rounded, see below",
    choices: Object.keys(RECIPES),
    default: "w4a8",
  },
  prompt: {
    type: "string",
    value: "TEXT",
    help:
      "what calibration asks; several kinds of question in turn if left out",
  },
  answer: {
    type: "integer",
    help:
      "longest answer of the float model that calibration learns from, in tokens",
    min: 0,
    max: 256,
    default: 32,
  },
  threads: THREADS_OPTION,
  verbose: {
    type: "boolean",
    help: "print the error of each linear (signal to noise, dB)",
  },
  quiet: { type: "boolean", help: "only errors on stderr" },
} as const;

/** Which recipe to take, for `--help`; docs/results.md has the numbers. */
export const RECIPE_NOTES = `Recipes:
  w4a8        MQuant's: 4-bit weights, 8-bit activations
  w4a8-fine   as small and as fast, three times closer to a pretrained decoder; takes up to 1.7 times as long
  w4a8-g64    closer still where pictures are read, 3 % larger; takes up to 3 times as long
  w4a8-mixed  a fourth of the weights in 8 bits, a fifth larger
  w8a8-w4a8   8-bit weights but in the decoder
  w8a8        8-bit weights everywhere
More photos are worth as much as a better recipe; each takes memory.`;

/**
 * What calibration asks where nothing else is said: captions, alt text, and
 * questions with short answers, so that no kind of text meets scales that never
 * saw it.
 */
const QUESTIONS = [
  DEFAULT_PROMPT,
  "Write alt text for this photo.",
  "What is the main object in this picture?",
  "Is there a person in this picture?",
] as const;

/** The questions `--prompt` stands for. */
export function questionsOf(prompt: string | undefined): readonly string[] {
  return prompt === undefined ? QUESTIONS : [prompt];
}

/** What to make of what. */
export interface Order {
  /** Folder of the checkpoint. */
  readonly checkpoint: string;
  /** Folder of photos, or a text where the model takes no pictures. */
  readonly calibration: string;
  /** File to write. */
  readonly out: string;
  /** How many photos, or windows of the text. */
  readonly samples: number;
  /** Name of a recipe. */
  readonly recipe: string;
  /** What calibration asks, in turn. */
  readonly questions: readonly string[];
  /** Longest answer calibration learns from, in tokens. */
  readonly answer: number;
  /** Threads to work with. */
  readonly threads: number;
  /** Print the error of each linear. */
  readonly verbose: boolean;
  /** Print nothing. */
  readonly quiet: boolean;
}

/** Photos the float model answers at once. */
const BATCH = 16;

/**
 * Quantizes; writes `order.out` and says what came of it. What is done is kept
 * in `order.out`.part meanwhile: the same order goes on from there.
 * @param open opens that file; a test may let it fail
 */
export async function produce(
  order: Order,
  mainIo: Io,
  open = openRecords,
): Promise<void> {
  const io = order.quiet ? quiet(mainIo) : mainIo;
  const start = performance.now();
  using checkpoint = openFloatCheckpoint(order.checkpoint);
  const { prompts, record } = await readCalibration(checkpoint, order);
  const calibration = JSON.stringify(record);
  const part = `${order.out}.part`;
  {
    const key = keyOf(order, checkpoint, calibration, prompts);
    using records = open(part, key);
    sweep(order.out);
    if (records.size > 0) io.err(`going on with ${part}`);
    using engine = await startFloat32Engine(order.threads);
    const samples = checkpoint.model.info.image
      ? answer(checkpoint, prompts, order, engine, io, records)
      : prompts.map((prompt) => ({ ...prompt, answer: [] }));
    const quantized = run(checkpoint, samples, order, engine, io, records);
    const content = emit(quantized, checkpoint.assets, {
      source: checkpoint.name,
      calibration,
      tool: `mquant ${VERSION}`,
    });
    writeModelFile(order.out, content);
  }
  Deno.removeSync(part);
  const took = duration((performance.now() - start) / 1000);
  io.err(`${order.out}: ${bytes(Deno.statSync(order.out).size)}, ${took}`);
}

/** Prompts to calibrate with and what the file says about them: photos and questions, or windows of a text where the model takes no pictures. */
async function readCalibration(
  checkpoint: FloatCheckpoint,
  { calibration, samples, questions }: Order,
): Promise<{ prompts: Prompt[]; record: Record<string, unknown> }> {
  if (!checkpoint.model.info.image) {
    const { prompts, sha256 } = readWindows(checkpoint, calibration, samples);
    return { prompts, record: { windows: prompts.length, sha256 } };
  }
  const photos = photosIn(calibration).slice(0, samples);
  const { prompts, sha256 } = await readPrompts(checkpoint, photos, questions);
  return { prompts, record: { photos: photos.length, sha256, questions } };
}

/** What the result depends on: work under another key is not gone on with. */
function keyOf(
  { recipe, answer }: Order,
  checkpoint: FloatCheckpoint,
  calibration: string,
  prompts: readonly Prompt[],
): string {
  const choices = {
    ...RECIPES[recipe],
    passes: RECIPES[recipe].passes.map((p) => p.name),
  };
  const hash = createHash("sha256").update(JSON.stringify([
    VERSION,
    checkpoint.sha256(),
    calibration,
    answer,
    choices,
  ]));
  for (const { ids, grids, patches } of prompts) {
    hash.update(JSON.stringify([ids, grids]));
    hash.update(Float32Array.from(patches ?? []));
  }
  return hash.digest("hex");
}

/** The float model's own greedy answers: what decoding will see. */
function answer(
  { model }: FloatCheckpoint,
  prompts: readonly Prompt[],
  { answer: most }: Order,
  engine: Engine,
  io: Io,
  records: Records,
): Sample[] {
  const loaded = load(model, engine);
  const line = progress(io, "answer in float", prompts.length);
  const answered: Sample[] = [];
  for (let i = 0; i < prompts.length; i += BATCH) {
    const batch = prompts.slice(i, i + BATCH);
    if (!records.has(`answers ${i}`)) {
      const answers = generate(loaded, batch, most);
      records.add(
        `answers ${i}`,
        Object.fromEntries(answers.map((ids, j) => [j, Int32Array.from(ids)])),
      );
    }
    const answers = records.read(`answers ${i}`)!;
    batch.forEach((prompt, j) => {
      const answer = [...answers[j] as Int32Array];
      const ended = answer.length < most;
      const stop = ended ? model.info.stopIds.slice(0, 1) : [];
      answered.push({ ...prompt, answer: [...answer, ...stop] });
    });
    line.at(answered.length);
  }
  line.end();
  return answered;
}

function run(
  { model }: FloatCheckpoint,
  samples: readonly Sample[],
  { recipe, verbose }: Order,
  engine: Engine,
  io: Io,
  records: Records,
): Quantized {
  let line: ReturnType<typeof progress> | undefined;
  const quantized = quantize(
    model,
    samples,
    RECIPES[recipe],
    engine,
    ({ id, done, total, sqnr, share }) => {
      line ??= progress(io, "quantize", total);
      if (verbose) {
        const db = Number.isFinite(sqnr) ? `${sqnr.toFixed(1)} dB` : "shared";
        io.err(dim(`${id.padEnd(20)} ${db.padStart(8)}`));
      }
      line.at(done, id, share);
    },
    records,
  );
  line?.end();
  return quantized;
}
