/**
 * Float rows to int8 on a static scale: as they are, behind a norm, an
 * activation or a Hadamard transform. No kernel computes a scale: `inv` is
 * 1/scale, fixed by calibration.
 *
 * All of them write `q` in blocks of `rowBlock` rows (4: A4, 1: A1) with k padded
 * to a multiple of 32, and the sum of each row; padding is 0. A range of rows
 * begins at a multiple of `rowBlock`.
 * @module
 */
import { paddedK, roundUp, type RowBlock, rowScratchBytes } from "../layout.ts";
import {
  f32,
  float,
  i32,
  kernel,
  optional,
  out,
  packed,
  range,
  rowsF32,
  scratch,
  size,
} from "../signature.ts";

/** Functions of the activation kernels; the number is their operand `fn`. */
export const ACTIVATIONS = {
  /** x / (1 + e^−x) */
  silu: 0,
  /** x · σ(2√(2/π)(x + 0.044715x³)), the tanh form of GELU */
  gelu_tanh: 1,
  /** x · Φ(x), erf by Abramowitz & Stegun 7.1.26 (|error| < 2e-7) */
  gelu: 2,
  /** x · σ(1.702x) */
  quick_gelu: 3,
  /** min(max(x, 0), 6) */
  relu6: 4,
} as const;

/** One of {@link ACTIVATIONS}. */
export type Activation = keyof typeof ACTIVATIONS;

/** Quantized rows. */
const q = out(packed(
  "i8",
  "A4 or A1 [rows][k]",
  ({ rows, k, rowBlock }) => roundUp(rows, rowBlock as RowBlock) * paddedK(k),
));

const sums = out({
  ...i32("rows"),
  bytes: ({ rows, rowBlock }) => 4 * roundUp(rows, rowBlock as RowBlock),
});

/** Static scale of an output, and its least and greatest level: −128 ≤ low ≤ 0 ≤ high ≤ 127. */
export const levels = { inv: float, low: float, high: float };

/** Operands of a Hadamard transform of the whole row, k = outer·order·2^p with 2^p ≥ 4. */
const transform = {
  /** ±1 for each channel. */
  signs: optional(f32("k")),
  /** Dense factors (packHadamard): that of `order`, then that of `outer`; not read for order 1. */
  matrix: optional(
    packed(
      "i32",
      "[order²] + [outer²]",
      ({ order, outer }) =>
        order === 1 ? 0 : 4 * (order ** 2 + (outer > 1 ? outer ** 2 : 0)),
    ),
  ),
  order: size,
  outer: size,
};

/** Where channel 0 goes in float, its quantized value being 0 (rotation magnitude suppression). */
const outlier = optional(out(f32("rows")));

/** Inputs of an activation: fn(g), or fn(g)·u. */
const activation = {
  fn: size,
  g: rowsF32("rows", "ldx", "k"),
  u: optional(rowsF32("rows", "ldx", "k")),
  ldx: size,
};

/** Quantized rows and their sums. */
export const target = {
  q,
  sums,
  k: size,
  rows: range("rowBlock"),
  rowBlock: size,
};

const working = scratch(({ k }) => rowScratchBytes(k));

/** q = round(x·inv), half to even, −128 to 127. */
export const quantize_f32_s8 = kernel(
  "quantize_f32_s8",
  "q = round(x·inv), sums = Σₖ q",
  { x: rowsF32("rows", "ldx", "k"), ldx: size, inv: float, ...target },
);

/** RMSNorm without gain, then quantization to int8. */
export const rmsnorm_f32_s8 = kernel(
  "rmsnorm_f32_s8",
  "q = round(x·inv/√(mean x² + eps)), sums = Σₖ q",
  {
    x: rowsF32("rows", "ldx", "k"),
    ldx: size,
    eps: float,
    inv: float,
    ...target,
  },
);

/** RMSNorm in float. x and y may be the same memory. */
export const rmsnorm_f32 = kernel(
  "rmsnorm_f32",
  "y = x/√(mean x² + eps)·gain",
  {
    x: rowsF32("rows", "ldx", "k"),
    ldx: size,
    eps: float,
    gain: optional(f32("k")),
    y: out(rowsF32("rows", "ldy", "k")),
    ldy: size,
    k: size,
    rows: range(),
  },
);

/** Hadamard transform in place, in float. */
export const hadamard_f32 = kernel(
  "hadamard_f32",
  "x = scale·(N ⊗ M ⊗ S)·diag(signs)·x, in place",
  {
    x: out(rowsF32("rows", "ldx", "k")),
    ldx: size,
    ...transform,
    scale: float,
    k: size,
    rows: range(),
    scratch: working,
  },
);

/** Hadamard transform, then quantization to int8. */
export const hadamard_f32_s8 = kernel(
  "hadamard_f32_s8",
  "q = round(inv·(N ⊗ M ⊗ S)·diag(signs)·x), channel 0 to `outlier`, sums = Σₖ q",
  {
    x: rowsF32("rows", "ldx", "k"),
    ldx: size,
    ...transform,
    inv: float,
    outlier,
    ...target,
    scratch: working,
  },
);

/** Activation function in float. */
export const activation_f32 = kernel(
  "activation_f32",
  "y = fn(g)·u",
  {
    ...activation,
    y: out(rowsF32("rows", "ldy", "k")),
    ldy: size,
    k: size,
    rows: range(),
  },
);

/** Activation function, then quantization to int8. */
export const activation_f32_s8 = kernel(
  "activation_f32_s8",
  "q = round(fn(g)·u·inv), sums = Σₖ q",
  { ...activation, inv: float, ...target, scratch: working },
);

/** Activation function, Hadamard transform, then quantization to int8: the input of a down projection. */
export const activation_hadamard_f32_s8 = kernel(
  "activation_hadamard_f32_s8",
  "q = round(inv·(N ⊗ M ⊗ S)·diag(signs)·(fn(g)·u)), channel 0 to `outlier`, sums = Σₖ q",
  {
    ...activation,
    ...transform,
    inv: float,
    outlier,
    ...target,
    scratch: working,
  },
);
