// f32 rows → codes, with or without an RMS norm in front.
//
//   x row ──────────────▶ rne(x·inv) ─▶ A4/A1 codes, row sum
//   x row ─▶ Σx² ─▶ r ──▶ rne(x·(r·inv)) ─▶ …        r = 1/√(Σx²/k + eps)
import { padRows, rowOf, storeRow } from "./codes";
import { word } from "./vector";

/** Σx² in one order: 16 running lanes (4 vectors), then a tree. */
@inline function sumSquares(x: usize, k: i32): f32 {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, j = 0;
  for (; j + 16 <= k; j += 16, x += 64) {
    const a = v128.load(x), b = v128.load(x, 16), c = v128.load(x, 32), d = v128.load(x, 48);
    s0 = f32x4.add(s0, f32x4.mul(a, a)); s1 = f32x4.add(s1, f32x4.mul(b, b));
    s2 = f32x4.add(s2, f32x4.mul(c, c)); s3 = f32x4.add(s3, f32x4.mul(d, d));
  }
  if (j < k) { const a = v128.load(x); s0 = f32x4.add(s0, f32x4.mul(a, a)); }
  if (j + 4 < k) { const a = v128.load(x, 16); s1 = f32x4.add(s1, f32x4.mul(a, a)); }
  if (j + 8 < k) { const a = v128.load(x, 32); s2 = f32x4.add(s2, f32x4.mul(a, a)); }
  const s = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
  return f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 1) +
    (f32x4.extract_lane(s, 2) + f32x4.extract_lane(s, 3));
}

@inline function rootMean(x: usize, k: i32, eps: f32): f32 {
  return <f32>1 / sqrt<f32>(sumSquares(x, k) / <f32>k + eps);
}

export function quantize_f32_s8__simd(
  x: usize, ldx: i32, inv: f32, a: usize, sums: usize,
  k: i32, row0: i32, row1: i32, group: i32,
): void {
  for (let r = row0; r < row1; r++) {
    storeRow(x + (<usize>r * <usize>ldx << 2), inv, rowOf(a, r, k, group), word(sums, r), k, group);
  }
  padRows(a, sums, k, row1, group);
}

export function rmsnorm_f32_s8__simd(
  x: usize, ldx: i32, eps: f32, inv: f32, a: usize, sums: usize,
  k: i32, row0: i32, row1: i32, group: i32,
): void {
  for (let r = row0; r < row1; r++) {
    const row = x + (<usize>r * <usize>ldx << 2);
    storeRow(row, rootMean(row, k, eps) * inv, rowOf(a, r, k, group), word(sums, r), k, group);
  }
  padRows(a, sums, k, row1, group);
}

export function rmsnorm_f32__simd(
  x: usize, ldx: i32, eps: f32, gain: usize, y: usize, ldy: i32,
  k: i32, row0: i32, row1: i32,
): void {
  const bytes = <usize>k << 2;
  for (let r = row0; r < row1; r++) {
    const from = x + (<usize>r * <usize>ldx << 2), to = y + (<usize>r * <usize>ldy << 2);
    const s = f32x4.splat(rootMean(from, k, eps));
    for (let j: usize = 0; j < bytes; j += 16) {
      let v = f32x4.mul(v128.load(from + j), s);
      if (gain) v = f32x4.mul(v, v128.load(gain + j));
      v128.store(to + j, v);
    }
  }
}
