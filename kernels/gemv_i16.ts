// One row × packed weights, plain SIMD128 (decode on engines without relaxed SIMD).
//
//   4 k at a time: a vector of 4 columns × 4 k becomes two of int16,
//   [n0k01 n0k23 n1k01 n1k23] and [n2… n3…]; times [k01 k23 k01 k23] of the row.
//   The two int32 of a column are added once, at the end.
import { groupedBytes, scaleBytes } from "./gemm_unpack";
import { store8 } from "./gemv_epilogue";
import { groupSums, highGroup, lowGroup, TOTALS } from "./gemv_groups";
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

/** Groups of `group` columns where `grouped`; else group is k, and there is no scratch. */
@inline function gemv(
  bits: i32, grouped: bool,
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, group: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  const panelBytes = grouped ? groupedBytes(k, group) : <usize>k * (bits == 4 ? 4 : 8);
  const mask = i8x16.splat(15), zero: i32 = bits == 8 ? 0 : 1 << (bits - 1), end = a + <usize>k;
  if (grouped) groupSums(a, k, group, scratch + TOTALS);
  const head: usize = grouped ? scaleBytes(k, group) : 0; // scales lie in front of codes
  let p = w + <usize>(n0 >> 3) * panelBytes + head;
  for (let n = n0; n < n1; n += 8) {
    let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, t0 = c0, t1 = c0;
    for (let x = a, g = 0; x < end; g++) {
      for (const last = x + <usize>group; x < last; x += 4) {
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
      if (grouped) {
        const eights = v128.load32_splat(word(scratch + TOTALS, g));
        const scales = p - (x - a << 2) - head + (<usize>g << 3);
        t0 = lowGroup(t0, i32x4.sub(pairs(c0, c1), eights), scales);
        t1 = highGroup(t1, i32x4.sub(pairs(c2, c3), eights), scales);
        c0 = c1 = c2 = c3 = i32x4.splat(0);
      }
    }
    if (grouped) {
      p += head;
      store8(t0, t1, 0, word(alpha, n), word(bias, n), word(y, n), accumulate);
    } else {
      store8(pairs(c0, c1), pairs(c2, c3), load<i32>(sums) * zero,
        word(alpha, n), word(bias, n), word(y, n), accumulate);
    }
  }
}

export function gemv_w4a8__simd_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemv(4, false, a, sums, w, alpha, bias, y, k, k, n0, n1, 0, accumulate);
}

export function gemv_w8a8__simd_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemv(8, false, a, sums, w, alpha, bias, y, k, k, n0, n1, 0, accumulate);
}

export function gemv_w4ga8__simd_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, group: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemv(4, true, a, sums, w, alpha, bias, y, k, group, n0, n1, scratch, accumulate);
}
