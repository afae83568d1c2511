// Weights of 4 to 7 bits × int8 activations, several rows, relaxed SIMD.
//
//   one step = 4 k:   A group (16 B)        panel, unpacked (32 B)
//                     r0 r1 r2 r3 × 4 k     8 columns × 4 k, offset binary u8
//
//            columns 0–3   columns 4–7
//            ┌───────────┬───────────┐      relaxed_dot: 16 products → 8 int16
//   row 0    │    c0     │    c1     │      (n0k01 n0k23 n1k01 n1k23 …). A pair sum is
//   row 1    │    c2     │    c3     │      at most 2·128·(2^bits − 1), so int16 holds
//   row 2    │    c4     │    c5     │      8 (w4), 4 (w5), 2 (w6) or 1 (w7) steps;
//   row 3    │    c6     │    c7     │      then dot(c, 1) folds pairs into the int32 tile.
//            └───────────┴───────────┘
//
// The second operand stays below 128, where every permitted behaviour of the
// relaxed instruction is the same: results are exact and equal to gemm_i16.ts.
import { lane0, lane1, lane2, lane3, word } from "./vector";
import { epilogue } from "./gemm_epilogue";
import { unpackNibbles } from "./gemm_unpack";

const ROWS: i32 = 128;        // rows per tile pass: 4 KiB of int32
const STEPS: i32 = 512;       // 4·512 k per pass: a panel of 16 KiB stays in L1
const TILE: usize = 16384;    // the tile lies behind the panel in scratch

@inline function dot(a: v128, w: v128): v128 {
  return i16x8.relaxed_dot_i8x16_i7x16_s(a, w);
}

@inline function flush(tile: usize, at: usize, c: v128): void {
  v128.store(tile + at, i32x4.add(v128.load(tile + at), i32x4.dot_i16x8_s(c, i16x8.splat(1))));
}

/** tile += A group · panel over `steps` steps, `run` of them between flushes. */
@inline function micro(a: usize, p: usize, tile: usize, steps: i32, run: i32): void {
  const end = a + (<usize>steps << 4);
  while (a < end) {
    let c0 = i16x8.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
    for (let s = 0; s < run; s++) {
      const x = v128.load(a), lo = v128.load(p), hi = v128.load(p, 16);
      let r = lane0(x);
      c0 = i16x8.add(c0, dot(r, lo)); c1 = i16x8.add(c1, dot(r, hi));
      r = lane1(x);
      c2 = i16x8.add(c2, dot(r, lo)); c3 = i16x8.add(c3, dot(r, hi));
      r = lane2(x);
      c4 = i16x8.add(c4, dot(r, lo)); c5 = i16x8.add(c5, dot(r, hi));
      r = lane3(x);
      c6 = i16x8.add(c6, dot(r, lo)); c7 = i16x8.add(c7, dot(r, hi));
      a += 16; p += 32;
    }
    flush(tile, 0, c0); flush(tile, 16, c1);
    flush(tile, 32, c2); flush(tile, 48, c3);
    flush(tile, 64, c4); flush(tile, 80, c5);
    flush(tile, 96, c6); flush(tile, 112, c7);
  }
}

function micro8(a: usize, p: usize, tile: usize, steps: i32): void { micro(a, p, tile, steps, 8); }
function micro4(a: usize, p: usize, tile: usize, steps: i32): void { micro(a, p, tile, steps, 4); }
function micro2(a: usize, p: usize, tile: usize, steps: i32): void { micro(a, p, tile, steps, 2); }
function micro1(a: usize, p: usize, tile: usize, steps: i32): void { micro(a, p, tile, steps, 1); }

@inline function gemm(
  bits: i32, a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  const panelBytes = <usize>k * (bits == 4 ? 4 : 8), tile = scratch + TILE;
  for (let n = n0; n < n1; n += 8) {
    const panel = w + <usize>(n >> 3) * panelBytes;
    for (let m0 = 0; m0 < rows; m0 += ROWS) {
      const count = min(ROWS, rows - m0);
      memory.fill(tile, 0, <usize>(count + 3 & -4) << 5);
      for (let s0 = 0, all = k >> 2; s0 < all; s0 += STEPS) {
        const steps = min(STEPS, all - s0);
        let p = panel + (<usize>s0 << 5);
        if (bits == 4) {
          unpackNibbles(panel + (<usize>s0 << 4), scratch, steps);
          p = scratch;
        }
        for (let m = 0; m < count; m += 4) {
          const group = a + <usize>(m0 + m) * <usize>k + (<usize>s0 << 4), to = tile + (<usize>m << 5);
          if (bits == 4) micro8(group, p, to, steps);
          else if (bits == 5) micro4(group, p, to, steps);
          else if (bits == 6) micro2(group, p, to, steps);
          else micro1(group, p, to, steps);
        }
      }
      epilogue(tile, word(sums, m0), 1 << (bits - 1), word(alpha, n), word(bias, n),
        word(y, n) + <usize>m0 * (<usize>ldy << 2), count, ldy, accumulate);
    }
  }
}

export function gemm_w4a8__relaxed_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm(4, a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate);
}

export function gemm_w5a8__relaxed_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm(5, a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate);
}

export function gemm_w6a8__relaxed_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm(6, a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate);
}

export function gemm_w7a8__relaxed_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm(7, a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate);
}
