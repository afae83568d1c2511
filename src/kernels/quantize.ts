/**
 * Float rows to static int8 codes, as they are or behind an RMS norm. No kernel
 * computes a scale: `inv` is the calibrated 1/scale and comes from the model file.
 * @module
 */
import { casesOver, loadRow, packRows, rowShapes } from "./codes.ts";
import { type Contract, contract } from "./contract.ts";

export { type Activation, ACTIVATIONS } from "./activate.ts";

const f = Math.fround;

/**
 * Rows of f32 → int8 codes and row sums: q = rne(x·inv) in −128..127.
 * All kernels that end in codes share these parameters:
 * @param x f32, row stride `ldx` elements
 * @param inv 1 / activation scale
 * @param a codes, A4 (group 4) or A1 (group 1) with padded k; padding is written as 0
 * @param sums int32 per row; a partial last group gets zeros
 * @param k row length, a multiple of 4
 * @param row0 first row, a multiple of `group`
 * @param row1 end of rows; a multiple of `group` unless it is the end of the buffer
 */
export type QuantizeF32S8 = (
  x: number,
  ldx: number,
  inv: number,
  a: number,
  sums: number,
  k: number,
  row0: number,
  row1: number,
  group: number,
) => void;

/** RMS norm without gain (it is folded into the next weights), then codes. */
export type RmsNormF32S8 = (
  x: number,
  ldx: number,
  eps: number,
  inv: number,
  a: number,
  sums: number,
  k: number,
  row0: number,
  row1: number,
  group: number,
) => void;

/** RMS norm to f32; `gain` points to f32 [k] or is 0. x and y may be the same. */
export type RmsNormF32 = (
  x: number,
  ldx: number,
  eps: number,
  gain: number,
  y: number,
  ldy: number,
  k: number,
  row0: number,
  row1: number,
) => void;

/** Sum of squares in the kernels' order: 16 running lanes, then a tree. */
export function sumSquares(x: Float32Array): number {
  const lanes = new Float32Array(16);
  x.forEach((value, j) => lanes[j & 15] += f(value * value));
  const [a, b, c, d] = [0, 1, 2, 3].map((i) =>
    f(f(lanes[i] + lanes[4 + i]) + f(lanes[8 + i] + lanes[12 + i]))
  );
  return f(f(a + b) + f(c + d));
}

function rootMean(row: Float32Array, eps: number): number {
  const mean = f(f(sumSquares(row) / row.length) + f(eps));
  return f(1 / f(Math.sqrt(mean)));
}

/** q = rne(x·inv). */
export const quantize_f32_s8: Contract<QuantizeF32S8> = contract({
  meaning: "a = rne(x·inv) as A4 or A1, sums = Σₖ a",
  reference: (v) => (x, ldx, inv, a, sums, k, row0, row1, group) =>
    packRows(
      v,
      (r) => loadRow(v, x, ldx, r, k),
      f(inv),
      a,
      sums,
      k,
      row0,
      row1,
      group,
    ),
  cases: casesOver(rowShapes, (arena, s, out) => [
    arena.floats(s.rows * s.ldx, 4),
    s.ldx,
    40, // ±160: both ends saturate
    ...out(),
    s.k,
    s.rows > 8 ? 4 : 0,
    s.rows,
    s.group,
  ]),
});

/** q = rne(rmsNorm(x)·inv). */
export const rmsnorm_f32_s8: Contract<RmsNormF32S8> = contract({
  meaning: "a = rne(x·(inv/√(mean x² + eps))) as A4 or A1, sums = Σₖ a",
  reference: (v) => (x, ldx, eps, inv, a, sums, k, row0, row1, group) =>
    packRows(
      v,
      (r) => {
        const row = loadRow(v, x, ldx, r, k),
          s = f(rootMean(row, eps) * f(inv));
        return row.map((y) => f(y * s));
      },
      1,
      a,
      sums,
      k,
      row0,
      row1,
      group,
    ),
  cases: casesOver(rowShapes, (arena, s, out) => [
    arena.floats(s.rows * s.ldx, 4),
    s.ldx,
    1e-6,
    50,
    ...out(),
    s.k,
    s.rows > 8 ? 4 : 0,
    s.rows,
    s.group,
  ]),
});

/** RMS norm in float. */
export const rmsnorm_f32: Contract<RmsNormF32> = contract({
  meaning: "y = x/√(mean x² + eps)·gain",
  reference: (v) => (x, ldx, eps, gain, y, ldy, k, row0, row1) => {
    for (let r = row0; r < row1; r++) {
      const row = loadRow(v, x, ldx, r, k), s = rootMean(row, eps);
      for (let j = 0; j < k; j++) {
        const n = f(row[j] * s);
        v.f32[(y >> 2) + r * ldy + j] = gain ? n * v.f32[(gain >> 2) + j] : n;
      }
    }
  },
  cases: [false, true].flatMap((gain) =>
    casesOver(rowShapes, (arena, s) => [
      arena.floats(s.rows * s.ldx, 4),
      s.ldx,
      1e-5,
      gain ? arena.floats(s.k, 2) : 0,
      arena.floats(s.rows * s.k),
      s.k,
      s.k,
      0,
      s.rows,
    ])
  ),
});
