/**
 * References of the matrix products.
 * @module
 */
import {
  activationOffset,
  groupedPanelBytes,
  type RowBlock,
  scaleBytes,
  weightOffset,
} from "../layout.ts";
import type {
  gemm_f32,
  gemm_w4a8,
  gemm_w4a8_s8,
  gemm_w4ga8,
  gemv_w4a8,
  gemv_w4ga8,
  rank1_f32,
} from "../signatures/matmul.ts";
import { level, type Reference, type Views } from "./views.ts";

const f = Math.fround;

/** The k signed values of column n of packed weights. */
export function storedColumn(
  v: Views,
  bits: 4 | 8,
  w: number,
  n: number,
  k: number,
): Int32Array {
  return Int32Array.from({ length: k }, (_, j) => {
    const at = w + weightOffset(bits, n, j, k);
    if (bits === 8) return v.i8[at];
    return (n & 4 ? v.u8[at] >> 4 : v.u8[at] & 15) - 8;
  });
}

/** Integer matmul with each value times the integer scale of its group. */
function groupedColumn(
  v: Views,
  w: number,
  n: number,
  k: number,
  group: number,
): Int32Array {
  const panel = w + (n >> 3) * groupedPanelBytes(k, group);
  const scales = panel + (n & 7), values = panel + scaleBytes(k, group);
  return storedColumn(v, 4, values, n & 7, k).map((value, j) =>
    value * v.u8[scales + 8 * Math.floor(j / group)]
  );
}

/** Shared operands of the integer matmuls. */
interface Product {
  readonly x: number;
  readonly alpha: number;
  readonly bias: number;
  readonly k: number;
  readonly n: readonly [number, number];
}

/** Stores floats, or adds them with `accumulate`. */
const floats = (
  v: Views,
  { y, accumulate }: { readonly y: number; readonly accumulate: number },
  ldy: number,
) =>
(m: number, n: number, result: number) => {
  const at = (y >> 2) + m * ldy + n;
  v.f32[at] = accumulate ? v.f32[at] + result : result;
};

/** Computes every output of rows × columns and calls `put` with it; the sum over k is an exact integer. */
function product(
  v: Views,
  columnOf: (n: number) => Int32Array,
  rowBlock: RowBlock,
  rows: number,
  { x, alpha, bias, k, n: [first, end] }: Product,
  put: (m: number, n: number, y: number) => void,
): void {
  const values = Array.from(
    { length: rows },
    (_, m) =>
      Int32Array.from(
        { length: k },
        (_, j) => v.i8[x + activationOffset(m, j, k, rowBlock)],
      ),
  );
  for (let n = first; n < end; n++) {
    const weights = columnOf(n);
    for (let m = 0; m < rows; m++) {
      const row = values[m];
      let sum = 0;
      for (let j = 0; j < k; j++) sum += row[j] * weights[j];
      const scaled = f(f(sum) * v.f32[(alpha >> 2) + n]);
      put(m, n, f(scaled + v.f32[(bias >> 2) + n]));
    }
  }
}

/** Reference of `gemm_w4a8` and `gemm_w8a8`. */
export const gemm = (bits: 4 | 8): Reference<typeof gemm_w4a8> => (v) => (c) =>
  product(
    v,
    (n) => storedColumn(v, bits, c.w, n, c.k),
    4,
    c.rows,
    c,
    floats(v, c, c.ldy),
  );

/** Reference of `gemm_w4a8_s8` and `gemm_w8a8_s8`. */
export const gemmToLevels =
  (bits: 4 | 8): Reference<typeof gemm_w4a8_s8> => (v) => (c) =>
    product(
      v,
      (n) => storedColumn(v, bits, c.w, n, c.k),
      4,
      c.rows,
      c,
      (m, n, y) => v.i8[c.q + m * c.ldq + n] = level(y, c),
    );

/** Reference of `gemv_w4a8` and `gemv_w8a8`. */
export const gemv = (bits: 4 | 8): Reference<typeof gemv_w4a8> => (v) => (c) =>
  product(
    v,
    (n) => storedColumn(v, bits, c.w, n, c.k),
    1,
    1,
    c,
    floats(v, c, 0),
  );

/** Reference of `gemm_w4ga8`. */
export const groupedGemm: Reference<typeof gemm_w4ga8> = (v) => (c) =>
  product(
    v,
    (n) => groupedColumn(v, c.w, n, c.k, c.group),
    4,
    c.rows,
    c,
    floats(v, c, c.ldy),
  );

/** Reference of `gemv_w4ga8`. */
export const groupedGemv: Reference<typeof gemv_w4ga8> = (v) => (c) =>
  product(
    v,
    (n) => groupedColumn(v, c.w, n, c.k, c.group),
    1,
    1,
    c,
    floats(v, c, 0),
  );

/** y = x·wᵀ + bias in float32, summed in the order of k. */
export const gemmF32: Reference<typeof gemm_f32> =
  (v) => ({ x, w, bias, y, rows, k, ldx, ldy, n: [first, end] }) => {
    for (let m = 0; m < rows; m++) {
      for (let n = first; n < end; n++) {
        const panel = (w >> 2) + (n >> 3) * 8 * k + (n & 7);
        let sum = 0;
        for (let j = 0; j < k; j++) {
          sum = f(
            sum + f(v.f32[(x >> 2) + m * ldx + j] * v.f32[panel + j * 8]),
          );
        }
        v.f32[(y >> 2) + m * ldy + n] = sum + v.f32[(bias >> 2) + n];
      }
    }
  };

/** y += x0·w0ᵀ. */
export const rank1: Reference<typeof rank1_f32> =
  (v) => ({ y, x0, w0, rows, n: [first, end], ldy }) => {
    for (let m = 0; m < rows; m++) {
      for (let n = first; n < end; n++) {
        v.f32[(y >> 2) + m * ldy + n] += f(
          v.f32[(x0 >> 2) + m] * v.f32[(w0 >> 2) + n],
        );
      }
    }
  };
