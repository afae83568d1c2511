/**
 * The interface of `quantize()`: options, progress, result, and the messages
 * between its two threads.
 * @module
 */
import type { ThreadError } from "../graph/thread_error.ts";

/** Smallest and largest value of each option that is a number. */
export const QUANTIZE_LIMITS = {
  samples: [1, 4096],
  answerTokens: [0, 256],
  threads: [1, 64],
} as const satisfies Record<string, readonly [number, number]>;

/**
 * What a progress report is about, in this order: unfinished work that was
 * found, photos read, answers of the float model, linears quantized, the file
 * written and verified.
 *
 * ```ts
 * import type { QuantizeStage } from "@mquant/mquant/quantize";
 *
 * const long: QuantizeStage[] = ["answer", "quantize"];
 * console.log(long);
 * ```
 */
export type QuantizeStage = "resume" | "read" | "answer" | "quantize" | "write";

/**
 * A progress report.
 *
 * ```ts
 * import type { QuantizeProgress } from "@mquant/mquant/quantize";
 *
 * const show = ({ stage, done, total }: QuantizeProgress) =>
 *   console.log(`${stage} ${done}/${total}`);
 * show({ stage: "read", done: 1, total: 2, share: 0.5 });
 * ```
 */
export interface QuantizeProgress {
  /** What is being done. */
  readonly stage: QuantizeStage;
  /** How many photos, answers, linears or records are done. */
  readonly done: number;
  /** How many there are in this stage. */
  readonly total: number;
  /** Fraction of the stage's work that is done, 0 to 1. */
  readonly share: number;
  /** The linear that was quantized last, in stage `quantize`. */
  readonly linear?: string;
  /** Signal-to-noise ratio of that linear's output on the samples, in dB; Infinity where it shares a weight that was done before, NaN where no row arrives. */
  readonly sqnr?: number;
}

/**
 * How to quantize.
 *
 * ```ts
 * import type { QuantizeOptions } from "@mquant/mquant/quantize";
 *
 * const options: QuantizeOptions = {
 *   calibration: "photos",
 *   out: "model.w4a8.safetensors",
 *   recipe: "w4a8-fine",
 *   threads: 2,
 * };
 * console.log(options.recipe);
 * ```
 */
export interface QuantizeOptions {
  /** Folder of photos like those to be captioned (or with images/ in it); a text file for a model that takes no pictures. */
  calibration: string;
  /** File to write. Unfinished work is kept in `out`.part. */
  out: string;
  /** How weights are rounded: w4a8 (default), w4a8-fine, w4a8-g64, w4a8-mixed, w8a8-w4a8 or w8a8. */
  recipe?: string;
  /** Photos to calibrate with, the first by name, or windows of 256 tokens of the text; 1 to 4096, default 128. */
  samples?: number;
  /** Questions that calibration asks in turn, one per photo; default several kinds of question. */
  prompts?: readonly string[];
  /** Longest answer of the float model that calibration learns from, in tokens; 0 to 256, default 32. */
  answerTokens?: number;
  /** Threads; 1 to 64, default one per CPU, at most 4. */
  threads?: number;
  /** Stops the work after the matrix product it is in. What is done is kept in `out`.part. */
  signal?: AbortSignal;
  /** Called with the progress of the work. Where it throws, the work stops and the promise rejects with what it threw. */
  onProgress?: (progress: QuantizeProgress) => void;
}

/**
 * What was made.
 *
 * ```ts
 * import type { QuantizeResult } from "@mquant/mquant/quantize";
 *
 * const line = ({ path, bytes, sha256 }: QuantizeResult) =>
 *   `${sha256}  ${path} (${bytes} bytes)`;
 * console.log(line.length);
 * ```
 */
export interface QuantizeResult {
  /** The file: `out` as it was given. */
  readonly path: string;
  /** Its size. */
  readonly bytes: number;
  /** SHA-256 of the file, hex. */
  readonly sha256: string;
}

/** The work as plain data. */
export type Order =
  & Omit<QuantizeOptions, "signal" | "onProgress">
  & { readonly checkpoint: string };

/** The one message to the worker: the work, and a word that is 1 once it must stop. */
export interface ToWorker {
  readonly order: Order;
  readonly stop: Int32Array;
}

/** Messages of the worker: progress, then a result or an error. */
export type FromWorker =
  | { readonly progress: QuantizeProgress }
  | { readonly result: QuantizeResult }
  | { readonly error: ThreadError };
