/**
 * From a checkpoint to a model file, with progress: what `quantize` and
 * `bundle` share.
 * @module
 */
import { writeModelFile } from "../format/write_model.ts";
import { generate } from "../graph/generate.ts";
import type { Prompt } from "../graph/generate.ts";
import { load } from "../graph/interpreter.ts";
import { float32Engine } from "../kernels/engine.ts";
import { emit } from "../quantize/emit.ts";
import { quantize } from "../quantize/quantize.ts";
import type { Engine, Quantized, Sample } from "../quantize/quantize.ts";
import { RECIPES } from "../quantize/recipe.ts";
import { DEFAULT_PROMPT, openFloatCheckpoint } from "./checkpoint.ts";
import type { FloatCheckpoint } from "./checkpoint.ts";
import { dim, type Io, quiet } from "./io.ts";
import { duration, progress } from "./progress.ts";
import { photosIn, readPrompts } from "./samples.ts";
import { bytes } from "./table.ts";
import { VERSION } from "./version.ts";

/** Options of `quantize` and `bundle`. */
export const QUANTIZE_OPTIONS = {
  samples: {
    type: "integer",
    help: "photos to calibrate with, the first by name",
    min: 1,
    max: 4096,
    default: 128,
  },
  recipe: {
    type: "string",
    help: "weight and activation bits",
    choices: Object.keys(RECIPES),
    default: "w4a8",
  },
  prompt: {
    type: "string",
    value: "TEXT",
    help:
      "what calibration asks; several kinds of question in turn if left out",
  },
  verbose: {
    type: "boolean",
    help: "print the error of each linear (signal to noise, dB)",
  },
  quiet: { type: "boolean", help: "only errors on stderr" },
} as const;

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
  /** Folder of photos. */
  readonly calibration: string;
  /** File to write. */
  readonly out: string;
  /** How many photos. */
  readonly samples: number;
  /** Name of a recipe. */
  readonly recipe: string;
  /** What calibration asks, in turn. */
  readonly questions: readonly string[];
  /** Print the error of each linear. */
  readonly verbose: boolean;
  /** Print nothing. */
  readonly quiet: boolean;
}

/** Longest answer calibration learns from. */
const ANSWER_TOKENS = 32;
/** Photos the float model answers at once. */
const BATCH = 16;

/** Quantizes; writes `order.out` and says what came of it. */
export async function produce(order: Order, mainIo: Io): Promise<void> {
  const io = order.quiet ? quiet(mainIo) : mainIo;
  const start = performance.now();
  using checkpoint = openFloatCheckpoint(order.checkpoint);
  const photos = photosIn(order.calibration).slice(0, order.samples);
  const { prompts, sha256 } = await readPrompts(
    checkpoint,
    photos,
    order.questions,
  );
  const engine = float32Engine();
  const samples = answer(checkpoint, prompts, engine, io);
  const quantized = run(checkpoint, samples, order, engine, io);
  const content = emit(quantized, checkpoint.assets, {
    source: checkpoint.name,
    calibration: JSON.stringify({
      photos: photos.length,
      sha256,
      questions: order.questions,
    }),
    tool: `mquant ${VERSION}`,
  });
  writeModelFile(order.out, content);
  const took = duration((performance.now() - start) / 1000);
  io.err(`${order.out}: ${bytes(Deno.statSync(order.out).size)}, ${took}`);
}

/** The float model's own greedy answers: what decoding will see. */
function answer(
  { model }: FloatCheckpoint,
  prompts: readonly Prompt[],
  engine: Engine,
  io: Io,
): Sample[] {
  const loaded = load(model, engine);
  const line = progress(io, "answer in float", prompts.length);
  const answered: Sample[] = [];
  for (let i = 0; i < prompts.length; i += BATCH) {
    const batch = prompts.slice(i, i + BATCH);
    const answers = generate(loaded, batch, ANSWER_TOKENS);
    batch.forEach((prompt, j) => {
      const ended = answers[j].length < ANSWER_TOKENS;
      const stop = ended ? model.info.stopIds.slice(0, 1) : [];
      answered.push({ ...prompt, answer: [...answers[j], ...stop] });
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
): Quantized {
  let line: ReturnType<typeof progress> | undefined;
  const quantized = quantize(
    model,
    samples,
    RECIPES[recipe],
    engine,
    ({ id, done, total, sqnr }) => {
      line ??= progress(io, "quantize", total);
      if (verbose) {
        const db = Number.isFinite(sqnr) ? `${sqnr.toFixed(1)} dB` : "shared";
        io.err(dim(`${id.padEnd(20)} ${db.padStart(8)}`));
      }
      line.at(done, id);
    },
  );
  line?.end();
  return quantized;
}
