/**
 * What the interpreter needs of a float engine: storage and one product. The
 * plain float64 executor here is the truth that every other one is held to.
 * @module
 */
import type { Tensor } from "../tensor/tensor.ts";

/** Float storage of an executor. */
export type Floats = Float32Array | Float64Array;

/** Sizes of an attention. */
export interface AttentionShape {
  /** Rows that ask. */
  readonly rows: number;
  /** Rows that are looked at. */
  readonly keys: number;
  readonly heads: number;
  /** Heads of keys and values; divides `heads`. */
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
  /** All heads of an attention, [rows, heads·d], as `attendHeads` makes them, which is asked where an engine has none. */
  attention?(
    q: Floats,
    k: Floats,
    v: Floats,
    shape: AttentionShape,
    seen: Int32Array,
  ): Floats;
}

/** The definition: three loops in float64. */
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
