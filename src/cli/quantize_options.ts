/**
 * Options that `quantize` and `bundle` share, and their help.
 * @module
 */
import { QUANTIZE_LIMITS } from "../convert/options.ts";
import { RECIPES } from "../quantize/recipe.ts";

const range = ([min, max]: readonly [number, number]) => ({ min, max });

/** `--threads` of commands that run the float model. */
export const THREADS_OPTION = {
  type: "integer",
  help: "threads; default: one per CPU, at most 4",
  ...range(QUANTIZE_LIMITS.threads),
} as const;

/** Options of `quantize` and `bundle`. */
export const QUANTIZE_OPTIONS = {
  samples: {
    type: "integer",
    help: "photos to calibrate with, the first by name, or windows of a text",
    ...range(QUANTIZE_LIMITS.samples),
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
    ...range(QUANTIZE_LIMITS.answerTokens),
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
More calibration photos help as much as a better recipe, but each one uses memory.`;
