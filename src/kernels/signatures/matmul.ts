/**
 * Matrix products: integer ones with static scales, and one in float32.
 *
 * Integer products compute `f32(Σₖ x[m,k]·w[n,k]) · alpha[n] + bias[n]`, the sum
 * exact, each float operation rounded to float32. `alpha` is the weight's scale
 * times the activation's; padded columns have 0. With `accumulate` = 1 the result
 * is added to what `y` holds.
 * @module
 */
import {
  gemmScratchBytes,
  gemvScratchBytes,
  groupedBytes,
  roundUp,
  type WeightBits,
  weightBytes,
  weightFloats,
} from "../layout.ts";
import {
  f32,
  i32,
  i8,
  kernel,
  out,
  packed,
  range,
  rowsF32,
  rowsI8,
  scratch,
  size,
} from "../signature.ts";
import { levels } from "./quantize.ts";

/** Activations of several rows in blocks of 4 rows (A4). */
const rowBlocks = packed(
  "i8",
  "A4 [rows][k]",
  ({ rows, k }) => roundUp(rows, 4) * k,
);

/** Packed weights of `bits` bits. */
const panels = (bits: WeightBits) =>
  packed(
    bits === 4 ? "u8" : "i8",
    `W${bits} [n][k]`,
    ({ n, k }) => weightBytes(bits, n, k),
  );

/** Packed 4-bit weights with an integer scale per group of columns. */
const groupedPanels = packed(
  "u8",
  "W4G [n][k]",
  ({ n, k, group }) => groupedBytes(n, k, group),
);

const gemm = (name: string, bits: 4 | 8, x = "") =>
  kernel(
    name,
    `y[m,n] = alpha[n]·Σₖ x[m,k]·w[n,k] + bias[n], w ${bits} bits, several rows${x}`,
    {
      x: rowBlocks,
      sums: i32("rows"),
      w: panels(bits),
      alpha: f32("n"),
      bias: f32("n"),
      y: out(rowsF32("rows", "ldy", "n")),
      rows: size,
      /** Padded k, a multiple of 32. */
      k: size,
      ldy: size,
      n: range(8),
      scratch: scratch(({ k }) => gemmScratchBytes(k)),
      accumulate: size,
    },
  );

/** Several rows to int8 on a static scale, as the input of a depthwise convolution (A1). */
const gemmToLevels = (name: string, bits: 4 | 8) =>
  kernel(
    name,
    `q = round(clamp(y·inv, low, high)), y of gemm_w${bits}a8`,
    {
      x: rowBlocks,
      sums: i32("rows"),
      w: panels(bits),
      alpha: f32("n"),
      bias: f32("n"),
      q: out(rowsI8("rows", "ldq", "n")),
      rows: size,
      k: size,
      ldq: size,
      n: range(8),
      scratch: scratch(({ k }) => gemmScratchBytes(k)),
      ...levels,
    },
  );

const gemv = (name: string, bits: 4 | 8) =>
  kernel(
    name,
    `y[n] = alpha[n]·Σₖ x[k]·w[n,k] + bias[n], w ${bits} bits, one row`,
    {
      x: i8("k"),
      sums: i32("1"),
      w: panels(bits),
      alpha: f32("n"),
      bias: f32("n"),
      y: out(f32("n")),
      k: size,
      n: range(8),
      accumulate: size,
    },
  );

/** Several rows, 4-bit weights. */
export const gemm_w4a8 = gemm("gemm_w4a8", 4);
/** Several rows, 8-bit weights. */
export const gemm_w8a8 = gemm("gemm_w8a8", 8);
/** The same where no value of x is negative, as behind ReLU6: relaxed builds are faster then. */
export const gemm_w8a7 = gemm("gemm_w8a7", 8, ", x from 0 to 127");
/** Several rows, 4-bit weights, to int8. */
export const gemm_w4a8_s8 = gemmToLevels("gemm_w4a8_s8", 4);
/** Several rows, 8-bit weights, to int8. */
export const gemm_w8a8_s8 = gemmToLevels("gemm_w8a8_s8", 8);
/** One row, 4-bit weights. */
export const gemv_w4a8 = gemv("gemv_w4a8", 4);
/** One row, 8-bit weights. */
export const gemv_w8a8 = gemv("gemv_w8a8", 8);

/** Several rows; each weight is a 4-bit integer times the integer scale of its group of columns. */
export const gemm_w4ga8 = kernel(
  "gemm_w4ga8",
  "gemm_w4a8 with an integer scale per group of columns",
  {
    x: rowBlocks,
    sums: i32("rows"),
    w: groupedPanels,
    alpha: f32("n"),
    bias: f32("n"),
    y: out(rowsF32("rows", "ldy", "n")),
    rows: size,
    /** A multiple of `group`. */
    k: size,
    /** Columns of a group, a multiple of 32. */
    group: size,
    ldy: size,
    n: range(8),
    scratch: scratch(({ k }) => gemmScratchBytes(k, true)),
    accumulate: size,
  },
);

/** One row; weights as in `gemm_w4ga8`. */
export const gemv_w4ga8 = kernel(
  "gemv_w4ga8",
  "gemv_w4a8 with an integer scale per group of columns",
  {
    x: i8("k"),
    sums: i32("1"),
    w: groupedPanels,
    alpha: f32("n"),
    bias: f32("n"),
    y: out(f32("n")),
    k: size,
    group: size,
    n: range(8),
    scratch: scratch(({ k }) => gemvScratchBytes(k)),
    accumulate: size,
  },
);

/** Float32: products and sums rounded in the order of k, the bias added last. */
export const gemm_f32 = kernel(
  "gemm_f32",
  "y[m,n] = Σₖ x[m,k]·w[n,k] + bias[n] in float32, in the order of k",
  {
    x: rowsF32("rows", "ldx", "k"),
    w: packed("f32", "F32 [n][k]", ({ n, k }) => 4 * weightFloats(n, k)),
    bias: f32("n"),
    y: out(rowsF32("rows", "ldy", "n")),
    rows: size,
    k: size,
    ldx: size,
    ldy: size,
    n: range(8),
  },
);

/** y += x0·w0ᵀ: the channel that rotation magnitude suppression keeps in float. */
export const rank1_f32 = kernel(
  "rank1_f32",
  "y[m,n] += x0[m]·w0[n]",
  {
    y: out(rowsF32("rows", "ldy", "n")),
    x0: f32("rows"),
    w0: f32("n"),
    rows: size,
    n: range(8),
    ldy: size,
  },
);
