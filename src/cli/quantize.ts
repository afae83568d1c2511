/**
 * `quantize CHECKPOINT --calibration DIR --out FILE`: quantizes a Hugging Face
 * checkpoint into one model file. The same inputs give the same bytes.
 * @module
 */
import type { QuantizeProgress, QuantizeStage } from "../convert/options.ts";
import { quantize } from "../convert/quantize.ts";
import { command, type Values } from "./command.ts";
import { EXIT, UsageError } from "./errors.ts";
import { dim, type Io, quiet } from "./io.ts";
import { duration, type Progress, progress } from "./progress.ts";
import { QUANTIZE_OPTIONS, RECIPE_NOTES } from "./quantize_options.ts";
import { bytes } from "./table.ts";

export default command({
  name: "quantize",
  summary: "quantize a Hugging Face checkpoint into one model file",
  operands: "CHECKPOINT",
  arity: [1, 1],
  options: {
    calibration: {
      type: "string",
      value: "PATH",
      help:
        "folder of calibration photos, like those that will be captioned, or folder with images/ in it; for a text-only model a text file",
    },
    out: { type: "string", value: "FILE", help: "model file to write" },
    ...QUANTIZE_OPTIONS,
  },
  notes:
    "CHECKPOINT is a folder with config.json, model.safetensors (or shards and their index),\na tokenizer (tokenizer.json, vocab.json and merges.txt, or tokenizer.model), a chat template and,\nfor vision-language models, preprocessor_config.json; or a GGUF file of a text model (Llama, Qwen2,\nQwen3).\nProgress is kept in FILE.part; after a crash or Ctrl-C the same command resumes.\n\n" +
    RECIPE_NOTES,
  permissions: "--allow-read --allow-write",
  interrupt: "kill",
  async run([checkpoint], values, io) {
    const need = (name: "calibration" | "out") => {
      const value = values[name];
      if (value !== undefined) return value;
      throw new UsageError(
        `Cannot quantize: --${name} is missing; write --${name}=${
          name === "out" ? "model.w4a8.safetensors" : "PATH"
        }`,
      );
    };
    const calibration = need("calibration"), out = need("out");
    await quantizeShown(checkpoint, calibration, out, values, io);
    return EXIT.ok;
  },
});

/** `quantize()` of the library, with its progress on stderr. */
export async function quantizeShown(
  checkpoint: string,
  calibration: string,
  out: string,
  values: Values<typeof QUANTIZE_OPTIONS>,
  mainIo: Io,
): Promise<void> {
  const io = values.quiet ? quiet(mainIo) : mainIo;
  const { samples, recipe, prompt, answer, threads, verbose } = values;
  const start = performance.now();
  const result = await quantize(checkpoint, {
    ...{ calibration, out, samples, recipe, answerTokens: answer },
    ...(prompt === undefined ? {} : { prompts: [prompt] }),
    ...(threads === undefined ? {} : { threads }),
    onProgress: shown(`${out}.part`, verbose, io),
  });
  const took = duration((performance.now() - start) / 1000);
  io.err(`${out}: ${bytes(result.bytes)}, ${took}`);
}

/** Labels of the long stages. */
const LABELS: Partial<Record<QuantizeStage, string>> = {
  read: "read photos",
  answer: "answer in float",
  quantize: "quantize",
};

/**
 * Prints progress: one line per stage; with `verbose` also the error of each
 * linear.
 */
function shown(part: string, verbose: boolean, io: Io) {
  let stage: QuantizeStage | undefined, line: Progress | undefined;
  return (now: QuantizeProgress) => {
    if (now.stage !== stage) {
      line?.end();
      stage = now.stage;
      const label = LABELS[stage];
      line = label === undefined ? undefined : progress(io, label, now.total);
    }
    const { linear = "", sqnr = NaN } = now;
    if (stage === "resume") io.err(`going on with ${part}`);
    if (verbose && linear) {
      const db = Number.isFinite(sqnr) ? `${sqnr.toFixed(1)} dB` : "shared";
      io.err(dim(`${linear.padEnd(20)} ${db.padStart(8)}`));
    }
    line?.at(now.done, linear, now.share);
  };
}
