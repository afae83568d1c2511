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
import { lane0, lane1, lane2, lane3, word } from "./vector";
import { epilogue, epilogueBytes } from "./gemm_epilogue";
import { unpackNibbles } from "./gemm_unpack";

const ROWS: i32 = 128;        // rows per tile pass: 4 KiB of int32
const STEPS: i32 = 512;       // 4·512 k per pass: a panel of 16 KiB stays in L1
const TILE: usize = 16384;    // the tile lies behind the panel in scratch

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

/** tile += row block · panel over `steps` steps. */
function micro(a: usize, p: usize, tile: usize, steps: i32): void {
  const ones = i16x8.splat(1); // out of the loops: V8 does not hoist it
  let s0 = v128.load(tile), s1 = v128.load(tile, 16), s2 = v128.load(tile, 32), s3 = v128.load(tile, 48);
  let s4 = v128.load(tile, 64), s5 = v128.load(tile, 80), s6 = v128.load(tile, 96), s7 = v128.load(tile, 112);
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
  v128.store(tile, s0); v128.store(tile, s1, 16); v128.store(tile, s2, 32); v128.store(tile, s3, 48);
  v128.store(tile, s4, 64); v128.store(tile, s5, 80); v128.store(tile, s6, 96); v128.store(tile, s7, 112);
}

/** Rows outermost: those of a tile pass stay in L1, and a panel is unpacked again for each (1 % of the work). */
@inline function gemm(
  bytes: bool, a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
  inv: f32, low: f32, high: f32,
): void {
  const panelBytes = <usize>k << 2, tile = scratch + TILE;
  for (let m0 = 0; m0 < rows; m0 += ROWS) {
    const count = min(ROWS, rows - m0), sum = word(sums, m0);
    for (let n = n0; n < n1; n += 8) {
      const panel = w + <usize>(n >> 3) * panelBytes;
      memory.fill(tile, 0, <usize>(count + 3 & -4) << 5);
      for (let s0 = 0, all = k >> 2; s0 < all; s0 += STEPS) {
        const steps = min(STEPS, all - s0);
        unpackNibbles(panel + (<usize>s0 << 4), scratch, steps);
        for (let m = 0; m < count; m += 4) {
          const block = a + <usize>(m0 + m) * <usize>k + (<usize>s0 << 4);
          micro(block, scratch, tile + (<usize>m << 5), steps);
        }
      }
      const to = m0 * ldy + n;
      if (bytes) {
        epilogueBytes(tile, sum, 8, word(alpha, n), word(bias, n), y + <usize>to, count, ldy, inv, low, high);
      } else {
        epilogue(tile, sum, 8, word(alpha, n), word(bias, n), word(y, to), count, ldy, accumulate);
      }
    }
  }
}

export function gemm_w4a8__relaxed_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm(false, a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate, 1, 0, 0);
}

export function gemm_w4a8_s8__relaxed_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, inv: f32, low: f32, high: f32,
): void {
  gemm(true, a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, 0, inv, low, high);
}
