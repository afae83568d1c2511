/**
 * The asymmetric calibration target of GPTAQ (arXiv 2504.02692). GPTQ minimises
 * the output error on quantized inputs x̂; the output should equal the float
 * model's, on float inputs x. The error splits into two terms:
 *
 *     ‖w·x − v·x̂‖² = ‖(a − v)·x̂‖² + constant,   a = w + w·D·H⁻¹,
 *     D = Σ (x − x̂)ᵀ·x̂,   H = Σ x̂ᵀ·x̂,
 *
 * so GPTQ rounds `a` instead of w and needs no other change. The full correction
 * overfits the calibration samples; half of it is better (docs/results.md).
 * @module
 */
import type { Executor, Floats } from "../graph/executor.ts";
import type { PreparedHessian } from "./gptq.ts";

type Matmuls = Pick<Executor, "matmul" | "zeros">;

/** Correction of the weights that read one site. */
export interface TargetCorrection {
  /** Dᵀ, [k, k]. */
  readonly gap: Floats;
  readonly hessian: PreparedHessian;
  /** Uᵀ of the factor, [k, k]. */
  readonly transposed: Floats;
}

/** Rows summed at a time, so that they stay in the cache. */
const ROWS = 1024;

/**
 * The correction for the weights that read one site: D, and the factor that
 * applies H⁻¹.
 * @param gap x − x̂, [m, k]
 * @param quantized x̂, [m, k]; both with the row weights of the Hessian
 */
export function targetCorrection(
  gap: Floats,
  quantized: Floats,
  hessian: PreparedHessian,
  { matmul, zeros }: Matmuls,
): TargetCorrection {
  const k = hessian.order.length, all = quantized.length;
  const sum = zeros(k * k);
  for (let from = 0; from < all; from += ROWS * k) {
    const to = Math.min(all, from + ROWS * k), m = (to - from) / k;
    const part = matmul(
      transpose(quantized.subarray(from, to), m, k, zeros),
      k,
      m,
      transpose(gap.subarray(from, to), m, k, zeros),
      k,
    );
    for (let i = 0; i < sum.length; i++) sum[i] += part[i];
  }
  const transposed = transpose(hessian.factor, k, k, zeros);
  return { gap: sum, hessian, transposed };
}

/**
 * The target w + share · w·D·H⁻¹, [n, k].
 * @param w [n, k]
 * @param share of the correction that is applied, 0 to 1
 */
export function asymmetricTarget(
  w: Float64Array,
  n: number,
  { gap, hessian: { order, factor }, transposed }: TargetCorrection,
  share: number,
  { matmul, zeros }: Matmuls,
): Float64Array {
  const k = order.length, original = zeros(n * k);
  original.set(w);
  const product = matmul(original, n, k, gap, k);
  const ordered = zeros(n * k); // H⁻¹ = Uᵀ·U in the order of rounding
  for (let r = 0; r < n * k; r += k) {
    for (let c = 0; c < k; c++) ordered[r + c] = product[r + order[c]];
  }
  const half = matmul(ordered, n, k, factor, k);
  const change = matmul(half, n, k, transposed, k);
  const target = w.slice();
  for (let r = 0; r < n * k; r += k) {
    for (let c = 0; c < k; c++) target[r + order[c]] += share * change[r + c];
  }
  return target;
}

/** [m, k] → [k, m]. */
function transpose(
  x: Floats,
  m: number,
  k: number,
  zeros: Executor["zeros"],
): Floats {
  const t = zeros(m * k);
  for (let r = 0; r < m; r++) {
    for (let c = 0; c < k; c++) t[c * m + r] = x[r * k + c];
  }
  return t;
}
