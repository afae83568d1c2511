/**
 * Activation functions in float64. The kernels approximate them by polynomials.
 * @module
 */

/** Names of the activation functions. */
export const ACTIVATION_NAMES = [
  "gelu",
  "gelu_tanh",
  "quick_gelu",
  "relu6",
  "silu",
] as const;

/** Name of an activation function. */
export type Activation = typeof ACTIVATION_NAMES[number];

/** Activation functions with a bounded range, whose outputs have no outliers. */
export const BOUNDED: ReadonlySet<Activation> = new Set(["relu6"]);

/** Error function: Maclaurin series below 3, continued fraction above; relative error below 1e-13. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 3) {
    let term = x, sum = x;
    for (let i = 1; Math.abs(term) > 1e-17 * Math.abs(sum); i++) {
      term *= -x * x / i;
      sum += term / (2 * i + 1);
    }
    return 2 / Math.sqrt(Math.PI) * sum;
  }
  let f = 0;
  for (let i = 60; i > 0; i--) f = i / 2 / (a + f);
  return Math.sign(x) *
    (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + f)));
}

/** The functions by name. */
export const ACTIVATIONS: Record<Activation, (x: number) => number> = {
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_tanh: (x) =>
    0.5 * x *
    (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  quick_gelu: (x) => x / (1 + Math.exp(-1.702 * x)),
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  silu: (x) => x / (1 + Math.exp(-x)),
};
