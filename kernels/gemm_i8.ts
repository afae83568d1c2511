// 4-bit weights × int8 activations, several rows, relaxed SIMD where a 32-bit dot
// product takes many instructions (gemm_dot.ts is for the other machines).
//
//   one step = 4 k:   row block (16 B)      panel, unpacked (32 B)
//                     r0 r1 r2 r3 × 4 k     8 columns × 4 k, offset binary u8
//
//            columns 0–3   columns 4–7
//            ┌───────────┬───────────┐      relaxed_dot: 16 products → 8 int16
//   row 0    │    c0     │    c1     │      (n0k01 n0k23 n1k01 n1k23 …). A pair sum is
//   row 1    │    c2     │    c3     │      at most 2·128·15, so int16 holds 8 steps;
//   row 2    │    c4     │    c5     │      then dot(c, 1) folds pairs into the
//   row 3    │    c6     │    c7     │      int32 tile.
//            └───────────┴───────────┘
//
// The second operand stays below 128, where every permitted behaviour of the
// relaxed instruction is the same: results are exact and equal to gemm_i16.ts.
import { put } from "./gemm_epilogue";
import { unpackNibbles } from "./gemm_unpack";
import { lane0, lane1, lane2, lane3, word } from "./vector";

const ROWS: i32 = 128;     // rows that pass over a panel while both are in the nearest caches
const STEPS: i32 = 512;    // 4·512 k per pass: a panel of 16 KiB stays in L1
const TILE: usize = 16384; // sums between passes lie behind the panel in scratch

@inline function dot(a: v128, w: v128): v128 {
  return i16x8.relaxed_dot_i8x16_i7x16_s(a, w);
}

@inline function add(c: v128, a: v128, w: v128): v128 {
  return i16x8.add(c, dot(a, w));
}

@inline function fold(s: v128, c: v128, ones: v128): v128 {
  return i32x4.add(s, i32x4.dot_i16x8_s(c, ones));
}

// Two steps are written out: a loop of one costs 10 %, of four gains nothing; the
// first step opens the accumulators instead of adding to zero (5 %). Zen 4, Nov 2026.

const RUN: i32 = 8; // steps between folds

/** Sums begin at −8·Σa: weights are w + 8. */
@inline function begin(sum: usize): v128 {
  return i32x4.splat(-8 * load<i32>(sum));
}

/**
 * 4 rows × 8 columns, of which the first `valid` rows are written, `line` bytes apart. The
 * sums come from `tile` unless they begin here (`pass` & 1), and go there unless they end (& 2).
 */
function tile4x8<T>(
  a: usize, p: usize, steps: i32, tile: usize, pass: i32, sums: usize, alpha: usize, bias: usize, y: usize, line: usize, valid: i32,
  accumulate: i32, inv: f32, low: f32, high: f32,
): void {
  const ones = i16x8.splat(1); // out of the loops: V8 does not hoist it
  let s0: v128, s1: v128, s2: v128, s3: v128, s4: v128, s5: v128, s6: v128, s7: v128;
  if (pass & 1) {
    s0 = begin(sums); s1 = s0; s2 = begin(sums + 4); s3 = s2;
    s4 = begin(sums + 8); s5 = s4; s6 = begin(sums + 12); s7 = s6;
  } else {
    s0 = v128.load(tile); s1 = v128.load(tile, 16); s2 = v128.load(tile, 32); s3 = v128.load(tile, 48);
    s4 = v128.load(tile, 64); s5 = v128.load(tile, 80); s6 = v128.load(tile, 96); s7 = v128.load(tile, 112);
  }
  for (const end = a + (<usize>steps << 4); a < end;) {
    let c0: v128, c1: v128, c2: v128, c3: v128, c4: v128, c5: v128, c6: v128, c7: v128;
    let x = v128.load(a), lo = v128.load(p), hi = v128.load(p, 16), r: v128;
    r = lane0(x); c0 = dot(r, lo); c1 = dot(r, hi);
    r = lane1(x); c2 = dot(r, lo); c3 = dot(r, hi);
    r = lane2(x); c4 = dot(r, lo); c5 = dot(r, hi);
    r = lane3(x); c6 = dot(r, lo); c7 = dot(r, hi);
    x = v128.load(a, 16); lo = v128.load(p, 32); hi = v128.load(p, 48);
    r = lane0(x); c0 = add(c0, r, lo); c1 = add(c1, r, hi);
    r = lane1(x); c2 = add(c2, r, lo); c3 = add(c3, r, hi);
    r = lane2(x); c4 = add(c4, r, lo); c5 = add(c5, r, hi);
    r = lane3(x); c6 = add(c6, r, lo); c7 = add(c7, r, hi);
    for (let s = 2; s < RUN; s += 2) {
      a += 32; p += 64;
      x = v128.load(a); lo = v128.load(p); hi = v128.load(p, 16);
      r = lane0(x); c0 = add(c0, r, lo); c1 = add(c1, r, hi);
      r = lane1(x); c2 = add(c2, r, lo); c3 = add(c3, r, hi);
      r = lane2(x); c4 = add(c4, r, lo); c5 = add(c5, r, hi);
      r = lane3(x); c6 = add(c6, r, lo); c7 = add(c7, r, hi);
      x = v128.load(a, 16); lo = v128.load(p, 32); hi = v128.load(p, 48);
      r = lane0(x); c0 = add(c0, r, lo); c1 = add(c1, r, hi);
      r = lane1(x); c2 = add(c2, r, lo); c3 = add(c3, r, hi);
      r = lane2(x); c4 = add(c4, r, lo); c5 = add(c5, r, hi);
      r = lane3(x); c6 = add(c6, r, lo); c7 = add(c7, r, hi);
    }
    a += 32; p += 64;
    s0 = fold(s0, c0, ones); s1 = fold(s1, c1, ones);
    s2 = fold(s2, c2, ones); s3 = fold(s3, c3, ones);
    s4 = fold(s4, c4, ones); s5 = fold(s5, c5, ones);
    s6 = fold(s6, c6, ones); s7 = fold(s7, c7, ones);
  }
  if (!(pass & 2)) {
    v128.store(tile, s0); v128.store(tile, s1, 16); v128.store(tile, s2, 32); v128.store(tile, s3, 48);
    v128.store(tile, s4, 64); v128.store(tile, s5, 80); v128.store(tile, s6, 96); v128.store(tile, s7, 112);
    return;
  }
  const a0 = v128.load(alpha), a1 = v128.load(alpha, 16), b0 = v128.load(bias), b1 = v128.load(bias, 16);
  put<T>(y, s0, s1, a0, a1, b0, b1, accumulate, inv, low, high);
  if (valid > 1) put<T>(y + line, s2, s3, a0, a1, b0, b1, accumulate, inv, low, high);
  if (valid > 2) put<T>(y + 2 * line, s4, s5, a0, a1, b0, b1, accumulate, inv, low, high);
  if (valid > 3) put<T>(y + 3 * line, s6, s7, a0, a1, b0, b1, accumulate, inv, low, high);
}

/** Rows outermost: a panel is unpacked again for each 128 of them (1 % of the work). */
@inline function gemm<T>(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
  inv: f32, low: f32, high: f32,
): void {
  const panelBytes = <usize>k << 2, line = <usize>ldy * sizeof<T>(), all = k >> 2;
  for (let m0 = 0; m0 < rows; m0 += ROWS) {
    const m1 = min(rows, m0 + ROWS);
    for (let n = n0; n < n1; n += 8) {
      const panel = w + <usize>(n >> 3) * panelBytes;
      const to = y + <usize>n * sizeof<T>(), factor = word(alpha, n), offset = word(bias, n);
      for (let s = 0; s < all; s += STEPS) {
        const steps = min(STEPS, all - s), pass = (s == 0 ? 1 : 0) | (s + steps == all ? 2 : 0);
        unpackNibbles(panel + (<usize>s << 4), scratch, steps);
        for (let m = m0; m < m1; m += 4) {
          tile4x8<T>(a + <usize>m * <usize>k + (<usize>s << 4), scratch, steps, scratch + TILE + (<usize>(m - m0) << 5),
            pass, word(sums, m), factor, offset, to + <usize>m * line, line, m1 - m, accumulate, inv, low, high);
        }
      }
    }
  }
}

export function gemm_w4a8__relaxed_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm<f32>(a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate, 1, 0, 0);
}

export function gemm_w4a8_s8__relaxed_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, inv: f32, low: f32, high: f32,
): void {
  gemm<i8>(a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, 0, inv, low, high);
}
