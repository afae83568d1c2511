/**
 * Folds the batch norm after a convolution at import: y = (W·x − mean)·g + bias
 * with g = weight/√(variance + eps) is a convolution with weight g·W.
 * @module
 */
import type { Tensor } from "../tensor/tensor.ts";
import type { Combined } from "./checkpoint.ts";

/** g per channel. */
function gains(weight: Tensor, variance: Tensor, eps: number): Float64Array {
  const v = variance.read();
  return weight.read().map((w, i) => w / Math.sqrt(v[i] + eps));
}

/**
 * Weight [n, …] of a convolution without bias, with the following batch norm
 * folded in.
 */
export function foldedWeight(
  convolution: string,
  norm: string,
  eps: number,
): Combined {
  return {
    from: [`${convolution}.weight`, `${norm}.weight`, `${norm}.running_var`],
    make: (w, weight, variance) => ({
      shape: w.shape,
      read() {
        const values = w.read(), g = gains(weight, variance, eps);
        const each = values.length / g.length;
        return values.map((x, i) => x * g[Math.floor(i / each)]);
      },
    }),
  };
}

/** Bias [n] after folding the batch norm. */
export function foldedBias(norm: string, eps: number): Combined {
  const names = ["weight", "running_var", "bias", "running_mean"];
  return {
    from: names.map((name) => `${norm}.${name}`),
    make: (weight, variance, bias, mean) => ({
      shape: bias.shape,
      read() {
        const g = gains(weight, variance, eps), m = mean.read();
        return bias.read().map((b, i) => b - m[i] * g[i]);
      },
    }),
  };
}
