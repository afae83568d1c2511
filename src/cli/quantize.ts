/**
 * `quantize CHECKPOINT --calibration DIR --out FILE`: a Hugging Face checkpoint
 * becomes one static model file. Same inputs, same bytes.
 * @module
 */
import { command } from "./command.ts";
import { EXIT, UsageError } from "./errors.ts";
import {
  produce,
  QUANTIZE_OPTIONS,
  questionsOf,
  RECIPE_NOTES,
} from "./produce.ts";
import { defaultThreads } from "./threads.ts";

export default command({
  name: "quantize",
  summary: "turn a Hugging Face checkpoint into one static model file",
  operands: "CHECKPOINT",
  arity: [1, 1],
  options: {
    calibration: {
      type: "string",
      value: "PATH",
      help:
        "folder of photos like those to be captioned (or with images/ in it); a text file for a model that takes no pictures",
    },
    out: { type: "string", value: "FILE", help: "where to write" },
    ...QUANTIZE_OPTIONS,
  },
  notes:
    "CHECKPOINT is a folder with config.json, model.safetensors (or shards and their index),\ntokenizer.json, a chat template and, where it takes pictures, preprocessor_config.json.\nWork done is kept in FILE.part: after a crash or Ctrl-C the same command goes on from there.\n\n" +
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
    await produce({ checkpoint, calibration, out, ...choices(values) }, io);
    return EXIT.ok;
  },
});

/** Values of `QUANTIZE_OPTIONS` under the names `produce` has for them. */
export function choices(
  { samples, recipe, prompt, answer, threads, verbose, quiet }: {
    readonly samples: number;
    readonly recipe: string;
    readonly prompt?: string | undefined;
    readonly answer: number;
    readonly threads?: number | undefined;
    readonly verbose: boolean;
    readonly quiet: boolean;
  },
) {
  return {
    samples,
    recipe,
    questions: questionsOf(prompt),
    answer,
    threads: threads ?? defaultThreads(),
    verbose,
    quiet,
  };
}
