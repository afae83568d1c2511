// What per-token dynamic quantization adds to a product: the largest magnitude of every
// row before its codes, and the row's scale behind its sums. For measurement only.
import { padRows, rowOf, storeRow } from "../../kernels/codes";
import { word } from "../../kernels/vector";

/** max |x| of a row of k floats, a multiple of 16. */
@inline function largest(x: usize, k: i32): f32 {
  let m0 = f32x4.splat(0), m1 = m0, m2 = m0, m3 = m0;
  for (const end = word(x, k); x < end; x += 64) {
    m0 = f32x4.pmax(m0, f32x4.abs(v128.load(x))); m1 = f32x4.pmax(m1, f32x4.abs(v128.load(x, 16)));
    m2 = f32x4.pmax(m2, f32x4.abs(v128.load(x, 32))); m3 = f32x4.pmax(m3, f32x4.abs(v128.load(x, 48)));
  }
  const m = f32x4.pmax(f32x4.pmax(m0, m1), f32x4.pmax(m2, m3));
  return max<f32>(max<f32>(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1)),
    max<f32>(f32x4.extract_lane(m, 2), f32x4.extract_lane(m, 3)));
}

/** Codes of rows on scales of their own, max |x| / 127 each. */
export function quantize_rows(
  x: usize, ldx: i32, scales: usize, a: usize, sums: usize, k: i32, row0: i32, row1: i32, group: i32,
): void {
  for (let r = row0; r < row1; r++) {
    const row = word(x, r * ldx), m = largest(row, k);
    store<f32>(word(scales, r), m / 127);
    storeRow(row, m > 0 ? 127 / m : 0, rowOf(a, r, k, group), word(sums, r), k, group);
  }
  padRows(a, sums, k, row1, group);
}

/** y row ·= the row's scale. */
export function scale_rows(y: usize, ldy: i32, scales: usize, n: i32, rows: i32): void {
  for (let r = 0; r < rows; r++) {
    const s = v128.load32_splat(word(scales, r));
    for (let p = word(y, r * ldy), end = word(p, n); p < end; p += 16) v128.store(p, f32x4.mul(v128.load(p), s));
  }
}
