/**
 * Inputs of the quantizer: a float engine, calibration samples, a progress callback.
 * @module
 */
import type { Executor, Floats } from "../graph/executor.ts";
import type { Prompt } from "../graph/generate.ts";
import type { IntegerWeight, PreparedHessian } from "./gptq.ts";

/** The float engine that the quantizer needs: matmuls, and the slowest parts of GPTQ. */
export interface Engine extends Executor {
  /** Σ over rows of xᵀx, [k, k]. */
  gram(x: Floats, m: number, k: number): Floats;
  /** Default: the function in tensor/linalg.ts. */
  inverseUpperFactor?(a: Floats, n: number): Floats;
  /** Default: the function in gptq.ts. */
  gptq?(
    w: Float64Array,
    n: number,
    k: number,
    bits: number,
    hessian: PreparedHessian,
  ): IntegerWeight;
}

/** A calibration sample: a prompt with its images, and an answer. */
export interface Sample extends Prompt {
  /** Token ids of the answer, stop token included where it has one. */
  readonly answer: readonly number[];
}

/** Progress of quantization. */
export interface Progress {
  /** Id of the linear that was just quantized. */
  readonly id: string;
  /** Number of quantized linears. */
  readonly done: number;
  /** Number of all linears. */
  readonly total: number;
  /** Signal-to-quantization-noise ratio of its output on the samples, in dB. */
  readonly sqnr: number;
  /** Fraction of all weights that is quantized, 0 to 1. */
  readonly share: number;
}
