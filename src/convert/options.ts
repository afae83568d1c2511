/**
 * The interface of `quantize()`: options, progress, result, and the messages
 * between its two threads.
 * @module
 */
import type { ThreadError } from "../graph/thread_error.ts";

/** Minimum and maximum of each numeric option. */
export const QUANTIZE_LIMITS = {
  samples: [1, 4096],
  answerTokens: [0, 256],
  threads: [1, 64],
} as const satisfies Record<string, readonly [number, number]>;

/** Options of `quantize()` where they are not given. */
export const QUANTIZE_DEFAULTS = {
  recipe: "w4a8",
  samples: 128,
  answerTokens: 32,
} as const;

/**
 * Stage of a progress report, in this order: unfinished work that was
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
  /** Current stage. */
  readonly stage: QuantizeStage;
  /** Number of finished photos, answers, linears or records. */
  readonly done: number;
  /** Total number in this stage. */
  readonly total: number;
  /** Finished fraction of the stage's work, 0 to 1. */
  readonly share: number;
  /** The linear that was quantized last, in stage `quantize`. */
  readonly linear?: string;
  /**
   * Signal-to-noise ratio of that linear's output on the calibration samples,
   * in dB; Infinity if it shares a weight that is quantized already, NaN if it
   * gets no rows.
   */
  readonly sqnr?: number;
}

/**
 * Options of `quantize()`.
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
  /**
   * Folder of calibration photos, similar to those that will be captioned, or
   * folder with images/ in it; for a text-only model a text file.
   */
  calibration: string;
  /** File to write. Unfinished work is kept in `out`.part. */
  out: string;
  /** Recipe: w4a8 (default), w4a8-fine, w4a8-g64, w4a8-mixed, w8a8-w4a8 or w8a8. */
  recipe?: string;
  /**
   * Number of calibration photos (the first by name), or of text windows of 256
   * tokens; 1 to 4096, default 128.
   */
  samples?: number;
  /**
   * Prompts for the calibration photos, used in rotation; default: several
   * kinds of questions.
   */
  prompts?: readonly string[];
  /**
   * Longest answer of the float model in calibration, in tokens; 0 (no
   * answers) to 256, default 32.
   */
  answerTokens?: number;
  /** Number of threads; 1 to 64, default one per CPU, at most 4. */
  threads?: number;
  /** Stops the work after the current matmul. Finished work stays in `out`.part. */
  signal?: AbortSignal;
  /**
   * Called with progress. If it throws, the work stops and the promise rejects
   * with that error.
   */
  onProgress?: (progress: QuantizeProgress) => void;
}

/**
 * Result of `quantize()`.
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
  /** Path of the file: `out`. */
  readonly path: string;
  /** Its size. */
  readonly bytes: number;
  /** SHA-256 of the file, hex. */
  readonly sha256: string;
}

/** The options as plain data. */
export type Order =
  & Omit<QuantizeOptions, "signal" | "onProgress">
  & { readonly checkpoint: string };

/**
 * The message to the worker: the options, and a shared word that becomes 1 to
 * stop the work.
 */
export interface ToWorker {
  readonly order: Order;
  readonly stop: Int32Array;
}

/** Messages from the worker: progress, then a result or an error. */
export type FromWorker =
  | { readonly progress: QuantizeProgress }
  | { readonly result: QuantizeResult }
  | { readonly error: ThreadError };
