/**
 * Options that `quantize` and `bundle` share, and their help.
 * @module
 */
import { QUANTIZE_DEFAULTS, QUANTIZE_LIMITS } from "../convert/options.ts";
import { RECIPES } from "../quantize/recipe.ts";

const range = ([min, max]: readonly [number, number]) => ({ min, max });

/** `--threads` of commands that run the float model. */
export const THREADS_OPTION = {
  type: "integer",
  help: "number of threads; default: one per CPU, at most 4",
  ...range(QUANTIZE_LIMITS.threads),
} as const;

/** Options of `quantize` and `bundle`. */
export const QUANTIZE_OPTIONS = {
  samples: {
    type: "integer",
    help: "number of calibration photos (the first by name) or text windows",
    ...range(QUANTIZE_LIMITS.samples),
    default: QUANTIZE_DEFAULTS.samples,
  },
  recipe: {
    type: "string",
    help: "quantization recipe, see below",
    choices: Object.keys(RECIPES),
    default: QUANTIZE_DEFAULTS.recipe,
  },
  prompt: {
    type: "string",
    value: "TEXT",
    help:
      "prompt for every calibration photo; default: several kinds of questions in turn",
  },
  answer: {
    type: "integer",
    help:
      "calibrate on prompts with the float model's answers of at most N tokens",
    ...range(QUANTIZE_LIMITS.answerTokens),
    default: QUANTIZE_DEFAULTS.answerTokens,
  },
  threads: THREADS_OPTION,
  verbose: {
    type: "boolean",
    help: "print the error of each linear (signal-to-noise ratio, dB)",
  },
  quiet: { type: "boolean", help: "print only errors on stderr" },
} as const;

/** Help text about the recipes; docs/results.md has the numbers. */
export const RECIPE_NOTES = `Recipes:
  w4a8        MQuant: 4-bit weights, 8-bit activations
  w4a8-fine   same size and speed, more accurate for pretrained decoders; up to 1.7 times the time
  w4a8-g64    more accurate for vision-language models; 3 % larger, up to 3 times the time
  w4a8-mixed  a quarter of the weights in 8 bits, most accurate; 20 % larger
  w8a8-w4a8   8-bit weights in the vision tower and connector, 4-bit in the decoder
  w8a8        8-bit weights everywhere
docs/results.md has the accuracy of each. More calibration photos help as much as a better recipe,
but each one uses memory.`;
