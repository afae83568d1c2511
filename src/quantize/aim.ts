/**
 * What a weight is rounded to be close to. GPTQ rounds against inputs that are
 * already quantized, but its product should come to what float's comes to, with
 * float's inputs (GPTAQ, arXiv 2504.02692). In least squares the two part: with
 * x̂ what arrives and x what float has there,
 *
 *     ‖w·x − v·x̂‖² = ‖(a − v)·x̂‖² + what no v changes,   a = w + w·D·H⁻¹,
 *     D = Σ (x − x̂)ᵀ·x̂,   H = Σ x̂ᵀ·x̂,
 *
 * so all that follows stays as it is and rounds `a` instead of w. The samples say
 * too much about themselves: going half of the way is better than the whole
 * (docs/results.md).
 * @module
 */
import type { Executor, Floats } from "../graph/executor.ts";
import type { Spread } from "./gptq.ts";

type Products = Pick<Executor, "matmul" | "zeros">;

/** What the weights of a site are drawn towards. */
export interface Pull {
  /** Dᵀ, [k, k]. */
  readonly gap: Floats;
  readonly spread: Spread;
  /** Uᵀ of the factor, [k, k]. */
  readonly transposed: Floats;
}

/** Rows of a sum that stay in a cache. */
const ROWS = 1024;

/**
 * @param gap x − x̂, [m, k]
 * @param quantized x̂, [m, k]; both weighed as the Hessian's rows are
 */
export function pullOf(
  gap: Floats,
  quantized: Floats,
  spread: Spread,
  { matmul, zeros }: Products,
): Pull {
  const k = spread.order.length, all = quantized.length;
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
  const transposed = transpose(spread.factor, k, k, zeros);
  return { gap: sum, spread, transposed };
}

/**
 * w + share · w·D·H⁻¹, [n, k].
 * @param w [n, k]
 * @param share of what the inputs have lost that is made up for, 0 to 1
 */
export function aim(
  w: Float64Array,
  n: number,
  { gap, spread: { order, factor }, transposed }: Pull,
  share: number,
  { matmul, zeros }: Products,
): Float64Array {
  const k = order.length, original = zeros(n * k);
  original.set(w);
  const drawn = matmul(original, n, k, gap, k);
  const ordered = zeros(n * k); // H⁻¹ = Uᵀ·U in the order of rounding
  for (let r = 0; r < n * k; r += k) {
    for (let c = 0; c < k; c++) ordered[r + c] = drawn[r + order[c]];
  }
  const half = matmul(ordered, n, k, factor, k);
  const change = matmul(half, n, k, transposed, k);
  const aimed = w.slice();
  for (let r = 0; r < n * k; r += k) {
    for (let c = 0; c < k; c++) aimed[r + order[c]] += share * change[r + c];
  }
  return aimed;
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
