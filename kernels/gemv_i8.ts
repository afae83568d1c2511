// One row × 4-bit weights, relaxed SIMD where a 32-bit dot product takes many
// instructions (gemv_dot.ts is for the other machines): decode, bound by memory.
//
//   w4, one step = 16 B: 8 columns × 4 k     c0 += dot([k0–3]×4, low nibbles)
//                                            c1 += dot([k0–3]×4, high nibbles)
//   one sequential stream per thread: several panel streams at once lose 2–3x of
//   the memory's speed. int16 holds 8 steps of w4 (gemm_i8.ts), then folds to int32.
import { groupedBytes, scaleBytes } from "./gemm_unpack";
import { store8 } from "./gemv_epilogue";
import { groupSums, highGroup, lowGroup, TOTALS } from "./gemv_groups";
import { lane0, lane1, lane2, lane3, word } from "./vector";

@inline function dot(c: v128, a: v128, w: v128): v128 {
  return i16x8.add(c, i16x8.relaxed_dot_i8x16_i7x16_s(a, w));
}

@inline function fold(s: v128, c: v128, ones: v128): v128 {
  return i32x4.add(s, i32x4.dot_i16x8_s(c, ones));
}

/** Groups of `group` columns where `grouped`; else group is k, and there is no scratch. */
@inline function gemvNibbles(
  grouped: bool, a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, group: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  const mask = i8x16.splat(15), ones = i16x8.splat(1); // out of the loops: V8 does not hoist them
  const panelBytes = grouped ? groupedBytes(k, group) : <usize>k << 2, end = a + <usize>k;
  if (grouped) groupSums(a, k, group, scratch + TOTALS);
  const head: usize = grouped ? scaleBytes(k, group) : 0; // scales lie in front of codes
  let p = w + <usize>(n0 >> 3) * panelBytes + head;
  for (let n = n0; n < n1; n += 8) {
    let s0 = i32x4.splat(0), s1 = s0, t0 = s0, t1 = s0;
    for (let x = a, g = 0; x < end; g++) {
      for (const last = x + <usize>group; x < last; x += 32, p += 128) {
        let r = v128.load(x), c0 = i16x8.splat(0), c1 = c0;
        let t = v128.load(p), b = lane0(r);
        c0 = dot(c0, b, v128.and(t, mask)); c1 = dot(c1, b, v128.and(i16x8.shr_u(t, 4), mask));
        t = v128.load(p, 16); b = lane1(r);
        c0 = dot(c0, b, v128.and(t, mask)); c1 = dot(c1, b, v128.and(i16x8.shr_u(t, 4), mask));
        t = v128.load(p, 32); b = lane2(r);
        c0 = dot(c0, b, v128.and(t, mask)); c1 = dot(c1, b, v128.and(i16x8.shr_u(t, 4), mask));
        t = v128.load(p, 48); b = lane3(r);
        c0 = dot(c0, b, v128.and(t, mask)); c1 = dot(c1, b, v128.and(i16x8.shr_u(t, 4), mask));
        r = v128.load(x, 16);
        t = v128.load(p, 64); b = lane0(r);
        c0 = dot(c0, b, v128.and(t, mask)); c1 = dot(c1, b, v128.and(i16x8.shr_u(t, 4), mask));
        t = v128.load(p, 80); b = lane1(r);
        c0 = dot(c0, b, v128.and(t, mask)); c1 = dot(c1, b, v128.and(i16x8.shr_u(t, 4), mask));
        t = v128.load(p, 96); b = lane2(r);
        c0 = dot(c0, b, v128.and(t, mask)); c1 = dot(c1, b, v128.and(i16x8.shr_u(t, 4), mask));
        t = v128.load(p, 112); b = lane3(r);
        c0 = dot(c0, b, v128.and(t, mask)); c1 = dot(c1, b, v128.and(i16x8.shr_u(t, 4), mask));
        s0 = fold(s0, c0, ones); s1 = fold(s1, c1, ones);
      }
      if (grouped) {
        const eights = v128.load32_splat(word(scratch + TOTALS, g));
        const scales = p - (x - a << 2) - head + (<usize>g << 3);
        t0 = lowGroup(t0, i32x4.sub(s0, eights), scales); t1 = highGroup(t1, i32x4.sub(s1, eights), scales);
        s0 = s1 = i32x4.splat(0);
      }
    }
    if (grouped) {
      p += head;
      store8(t0, t1, 0, word(alpha, n), word(bias, n), word(y, n), accumulate);
    } else {
      store8(s0, s1, load<i32>(sums) << 3, word(alpha, n), word(bias, n), word(y, n), accumulate);
    }
  }
}

export function gemv_w4a8__relaxed_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemvNibbles(false, a, sums, w, alpha, bias, y, k, k, n0, n1, 0, accumulate);
}

export function gemv_w4ga8__relaxed_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, group: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemvNibbles(true, a, sums, w, alpha, bias, y, k, group, n0, n1, scratch, accumulate);
}
