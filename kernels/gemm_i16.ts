// Weights of 4 to 8 bits × int8 activations, several rows, plain SIMD128: each
// panel is unpacked once to int16 pairs in L1, then all rows pass over it
// (tile_i16.ts). The weights are signed there, so no row sums are needed.
//
//   for 8 columns:  w panel ─unpackPairs▶ [k/2][8][2] int16 (16 KiB per 1024 k)
//     for 4 rows:   A group · panel ─▶ tile [4][8] int32 ─epilogue▶ y
import { epilogue } from "./gemm_epilogue";
import { groupedBytes, scaleBytes, unpackGroups, unpackPairs } from "./gemm_unpack";
import { tile4x8 } from "./tile_i16";
import { word } from "./vector";

const ROWS: i32 = 128;       // rows per pass: 4 KiB of int32 tiles
const STEPS: i32 = 256;      // 4·256 k per pass: 16 KiB of panel
const TILE: usize = 16384;   // the tiles lie behind the panel in scratch
const BYTES: usize = 20480;  // w8 of a panel in groups, 8 KiB, behind them

/** Rows outermost, as in gemm_i8.ts. */
function gemm(
  bits: i32, group: i32, bytes: bool,
  a: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
  inv: f32, low: f32, high: f32,
): void {
  const stepBytes: usize = bits == 4 ? 16 : 32, tile = scratch + TILE;
  const panelBytes = group > 0 ? groupedBytes(k, group) : <usize>(k >> 2) * stepBytes;
  for (let m0 = 0; m0 < rows; m0 += ROWS) {
    const count = min(ROWS, rows - m0);
    for (let n = n0; n < n1; n += 8) {
      const panel = w + <usize>(n >> 3) * panelBytes;
      for (let s0 = 0, all = k >> 2; s0 < all; s0 += STEPS) {
        const steps = min(STEPS, all - s0);
        let p = panel + <usize>s0 * stepBytes;
        if (group > 0) {
          p = scratch + BYTES;
          unpackGroups(panel + scaleBytes(k, group), panel, p, s0, s0 + steps, group >> 2, 0);
        }
        unpackPairs(bits, p, scratch, steps);
        for (let m = 0; m < count; m += 4) {
          const block = a + <usize>(m0 + m) * <usize>k + (<usize>s0 << 4);
          tile4x8<i8, i16>(block, scratch, tile + (<usize>m << 5), steps << 2, s0 > 0);
        }
      }
      const to = m0 * ldy + n, line = <usize>ldy;
      if (bytes) {
        epilogue<i8>(tile, word(alpha, n), word(bias, n), y + <usize>to, count, line, 0, inv, low, high);
      } else {
        epilogue<f32>(tile, word(alpha, n), word(bias, n), word(y, to), count, line << 2, accumulate, 1, 0, 0);
      }
    }
  }
}

export function gemm_w4a8__simd_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm(4, 0, false, a, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate, 1, 0, 0);
}

export function gemm_w8a8__simd_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm(8, 0, false, a, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate, 1, 0, 0);
}

/** Activations that are nowhere negative: nothing to gain here. */
export function gemm_w8a7__simd_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm(8, 0, false, a, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate, 1, 0, 0);
}

export function gemm_w4ga8__simd_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, group: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm(8, group, false, a, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate, 1, 0, 0);
}

export function gemm_w4a8_s8__simd_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, inv: f32, low: f32, high: f32,
): void {
  gemm(4, 0, true, a, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, 0, inv, low, high);
}

export function gemm_w8a8_s8__simd_4x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, inv: f32, low: f32, high: f32,
): void {
  gemm(8, 0, true, a, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, 0, inv, low, high);
}
