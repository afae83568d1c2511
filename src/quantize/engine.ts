/**
 * What the quantizer works with: a float engine, calibration samples, and who
 * hears of its progress.
 * @module
 */
import type { Executor, Floats } from "../graph/executor.ts";
import type { Prompt } from "../graph/generate.ts";
import type { IntegerWeight, Spread } from "./gptq.ts";

/** The float engine the quantizer needs: products, and what GPTQ takes most time for. */
export interface Engine extends Executor {
  /** Σ over rows of xᵀx, [k, k]. */
  gram(x: Floats, m: number, k: number): Floats;
  /** As in tensor/linalg.ts, which is asked where an engine has none. */
  inverseUpperFactor?(a: Floats, n: number): Floats;
  /** As in gptq.ts, which is asked where an engine has none. */
  gptq?(
    w: Float64Array,
    n: number,
    k: number,
    bits: number,
    spread: Spread,
  ): IntegerWeight;
}

/** One calibration sample: a prompt with its images, and the answer to learn scales from. */
export interface Sample extends Prompt {
  /** Token ids of the answer, stop token included where it has one. */
  readonly answer: readonly number[];
}

/** What is reported while quantizing. */
export interface Progress {
  /** Linear just done. */
  readonly id: string;
  readonly done: number;
  readonly total: number;
  /** Share of the output's energy that its rounding loses on the samples, in dB (SQNR). */
  readonly sqnr: number;
  /** Share of all weights that is done, 0 to 1. */
  readonly share: number;
}
