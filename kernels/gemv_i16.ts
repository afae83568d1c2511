// One row × packed weights, plain SIMD128 (decode on engines without relaxed SIMD).
//
//   4 k at a time: a vector of 4 columns × 4 k becomes two of int16,
//   [n0k01 n0k23 n1k01 n1k23] and [n2… n3…]; times [k01 k23 k01 k23] of the row.
//   The two int32 of a column are added once, at the end.
import { store8 } from "./gemv_epilogue";
import { word } from "./vector";

@inline function mac(c: v128, a: v128, w: v128): v128 {
  return i32x4.add(c, i32x4.dot_i16x8_s(a, w));
}

/** [a0+a1, a2+a3, b0+b1, b2+b3] */
@inline function pairs(a: v128, b: v128): v128 {
  return i32x4.add(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7));
}

@inline function low(bits: i32, v: v128): v128 {
  return bits == 8 ? i16x8.extend_low_i8x16_s(v) : i16x8.extend_low_i8x16_u(v);
}

@inline function high(bits: i32, v: v128): v128 {
  return bits == 8 ? i16x8.extend_high_i8x16_s(v) : i16x8.extend_high_i8x16_u(v);
}

@inline function gemv(
  bits: i32,
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  const panelBytes = <usize>k * (bits == 4 ? 4 : 8), mask = i8x16.splat(15);
  const zero: i32 = bits == 8 ? 0 : 1 << (bits - 1);
  let p = w + <usize>(n0 >> 3) * panelBytes;
  for (let n = n0; n < n1; n += 8) {
    let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0;
    for (let x = a, end = a + k; x < end; x += 4) {
      const r = i16x8.extend_low_i8x16_s(v128.load32_splat(x)); // [k01 k23 k01 k23]
      let left: v128, right: v128;
      if (bits == 4) {
        const t = v128.load(p);
        left = v128.and(t, mask); right = v128.and(i16x8.shr_u(t, 4), mask);
        p += 16;
      } else {
        left = v128.load(p); right = v128.load(p, 16);
        p += 32;
      }
      c0 = mac(c0, r, low(bits, left)); c1 = mac(c1, r, high(bits, left));
      c2 = mac(c2, r, low(bits, right)); c3 = mac(c3, r, high(bits, right));
    }
    store8(pairs(c0, c1), pairs(c2, c3), load<i32>(sums) * zero,
      word(alpha, n), word(bias, n), word(y, n), accumulate);
  }
}

export function gemv_w4a8__simd_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemv(4, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}

export function gemv_w5a8__simd_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemv(5, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}

export function gemv_w6a8__simd_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemv(6, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}

export function gemv_w7a8__simd_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemv(7, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}

export function gemv_w8a8__simd_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemv(8, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}
