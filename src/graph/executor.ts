/**
 * The interface between the interpreter and a float engine: storage and matmul. The
 * float64 executor in this file is the reference for all others.
 * @module
 */
import type { Tensor } from "../tensor/tensor.ts";

/** Float storage of an executor. */
export type Floats = Float32Array | Float64Array;

/** Sizes of an attention. */
export interface AttentionShape {
  /** Query rows. */
  readonly rows: number;
  /** Key rows. */
  readonly keys: number;
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads; divides `heads`. */
  readonly kvHeads: number;
  readonly headDim: number;
}

/** A float engine. */
export interface Executor {
  /** `n` zeros in this engine's precision. */
  zeros(n: number): Floats;
  /** A parameter in this engine's precision. */
  load(t: Tensor): Floats;
  /**
   * y = x·wᵀ (+ bias): x [m, k], w [n, k], y [m, n].
   */
  matmul(
    x: Floats,
    m: number,
    k: number,
    w: Floats,
    n: number,
    bias?: Floats,
  ): Floats;
  /** All heads of an attention, [rows, heads·d], as `attendHeads` (the default) computes them. */
  attention?(
    q: Floats,
    k: Floats,
    v: Floats,
    shape: AttentionShape,
    keyRange: Int32Array,
  ): Floats;
}

/** Reference executor: three loops in float64. */
export const float64: Executor = {
  zeros: (n) => new Float64Array(n),
  load: (t) => t.read(),
  matmul(x, m, k, w, n, bias) {
    const y = new Float64Array(m * n);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = bias ? bias[j] : 0;
        for (let c = 0; c < k; c++) sum += x[i * k + c] * w[j * k + c];
        y[i * n + j] = sum;
      }
    }
    return y;
  },
};

/** Rows of a matrix in the given order, [rows.length, width]. */
export function gatherRows(
  { zeros }: Pick<Executor, "zeros">,
  x: Floats,
  width: number,
  rows: ArrayLike<number>,
): Floats {
  const y = zeros(rows.length * width);
  for (let i = 0; i < rows.length; i++) {
    y.set(x.subarray(rows[i] * width, (rows[i] + 1) * width), i * width);
  }
  return y;
}
