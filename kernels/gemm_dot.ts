// Weights of 4 to 8 bits × int8 activations, several rows, where a 32-bit dot product is
// one instruction (AVX-VNNI, ARM's sdot).
//
//   one step = 4 k:  A group (16 B)       panel, unpacked (32 B)
//                    r0 r1 r2 r3 × 4 k    8 columns × 4 k
//
//            columns 0–3   columns 4–7
//            ┌───────────┬───────────┐     A dot product waits 5 cycles for the one before
//   row 0    │    c0     │    c1     │     it, and two begin in each: 8 sums wait for one
//   row 1    │    c2     │    c3     │     another (130 GOPS), 10 need not (165). 12 leave
//   row 2    │    c4     │    c5     │     no register for the row (Golden Cove at 3 GHz,
//   row 3    │    c6     │    c7     │     Nov 2026).
//   row 4    │    c8     │    c9     │
//            └───────────┴───────────┘
//
//   The fifth row is lent by the last group of a block of up to 5 groups:
//
//     g0 g1 g2 g3 │ g4      tiles: g0 + g4.0, g1 + g4.1, g2 + g4.2, g3 + g4.3
//     g0 │ g1 (1 row)       tile:  g0 + g1.0
//     g0 │ g1 (3 rows)      too many to lend: two tiles of 4
//
// Sums begin at −zero·Σa, so that what stands in them at the end is Σ a·w.
import { dotAdd, flipOf } from "./dot";
import { put } from "./gemm_epilogue";
import { flipBytes, groupedBytes, scaleBytes, unpackGroups, unpackNibbles } from "./gemm_unpack";
import { lane0, lane1, lane2, lane3, word } from "./vector";

const BLOCK: i32 = 20;         // rows of 5 groups
const CACHED: i32 = 256 << 10; // bytes of rows that all panels pass over: they stay in L2

@inline function begin(sum: usize, zero: i32): v128 {
  return i32x4.splat(-zero * load<i32>(sum));
}

/** 4 rows of a group, the first `valid` of which are stored. */
function tile4x8<T>(
  a: usize, p: usize, steps: i32, sums: usize, zero: i32,
  alpha: usize, bias: usize, y: usize, line: usize, valid: i32, accumulate: i32,
  inv: f32, low: f32, high: f32,
): void {
  let c0 = begin(sums, zero), c1 = c0, c2 = begin(sums + 4, zero), c3 = c2;
  let c4 = begin(sums + 8, zero), c5 = c4, c6 = begin(sums + 12, zero), c7 = c6;
  for (const end = a + (<usize>steps << 4); a < end; a += 32, p += 64) {
    let x = v128.load(a), lo = v128.load(p), hi = v128.load(p, 16), r: v128;
    r = lane0(x); c0 = dotAdd(c0, r, lo); c1 = dotAdd(c1, r, hi);
    r = lane1(x); c2 = dotAdd(c2, r, lo); c3 = dotAdd(c3, r, hi);
    r = lane2(x); c4 = dotAdd(c4, r, lo); c5 = dotAdd(c5, r, hi);
    r = lane3(x); c6 = dotAdd(c6, r, lo); c7 = dotAdd(c7, r, hi);
    x = v128.load(a, 16); lo = v128.load(p, 32); hi = v128.load(p, 48);
    r = lane0(x); c0 = dotAdd(c0, r, lo); c1 = dotAdd(c1, r, hi);
    r = lane1(x); c2 = dotAdd(c2, r, lo); c3 = dotAdd(c3, r, hi);
    r = lane2(x); c4 = dotAdd(c4, r, lo); c5 = dotAdd(c5, r, hi);
    r = lane3(x); c6 = dotAdd(c6, r, lo); c7 = dotAdd(c7, r, hi);
  }
  const a0 = v128.load(alpha), a1 = v128.load(alpha, 16), b0 = v128.load(bias), b1 = v128.load(bias, 16);
  put<T>(y, c0, c1, a0, a1, b0, b1, accumulate, inv, low, high);
  if (valid > 1) put<T>(y + line, c2, c3, a0, a1, b0, b1, accumulate, inv, low, high);
  if (valid > 2) put<T>(y + 2 * line, c4, c5, a0, a1, b0, b1, accumulate, inv, low, high);
  if (valid > 3) put<T>(y + 3 * line, c6, c7, a0, a1, b0, b1, accumulate, inv, low, high);
}

/** 4 rows of a group, and one lent row: its codes at b, its sum at sum4, its output at y4. */
function tile5x8<T>(
  a: usize, b: usize, p: usize, steps: i32, sums: usize, sum4: usize, zero: i32,
  alpha: usize, bias: usize, y: usize, y4: usize, line: usize, accumulate: i32,
  inv: f32, low: f32, high: f32,
): void {
  let c0 = begin(sums, zero), c1 = c0, c2 = begin(sums + 4, zero), c3 = c2;
  let c4 = begin(sums + 8, zero), c5 = c4, c6 = begin(sums + 12, zero), c7 = c6;
  let c8 = begin(sum4, zero), c9 = c8;
  for (const end = a + (<usize>steps << 4); a < end; a += 32, b += 32, p += 64) {
    let x = v128.load(a), lo = v128.load(p), hi = v128.load(p, 16), r: v128;
    r = lane0(x); c0 = dotAdd(c0, r, lo); c1 = dotAdd(c1, r, hi);
    r = lane1(x); c2 = dotAdd(c2, r, lo); c3 = dotAdd(c3, r, hi);
    r = lane2(x); c4 = dotAdd(c4, r, lo); c5 = dotAdd(c5, r, hi);
    r = lane3(x); c6 = dotAdd(c6, r, lo); c7 = dotAdd(c7, r, hi);
    r = v128.load32_splat(b); c8 = dotAdd(c8, r, lo); c9 = dotAdd(c9, r, hi);
    x = v128.load(a, 16); lo = v128.load(p, 32); hi = v128.load(p, 48);
    r = lane0(x); c0 = dotAdd(c0, r, lo); c1 = dotAdd(c1, r, hi);
    r = lane1(x); c2 = dotAdd(c2, r, lo); c3 = dotAdd(c3, r, hi);
    r = lane2(x); c4 = dotAdd(c4, r, lo); c5 = dotAdd(c5, r, hi);
    r = lane3(x); c6 = dotAdd(c6, r, lo); c7 = dotAdd(c7, r, hi);
    r = v128.load32_splat(b, 16); c8 = dotAdd(c8, r, lo); c9 = dotAdd(c9, r, hi);
  }
  const a0 = v128.load(alpha), a1 = v128.load(alpha, 16), b0 = v128.load(bias), b1 = v128.load(bias, 16);
  put<T>(y, c0, c1, a0, a1, b0, b1, accumulate, inv, low, high);
  put<T>(y + line, c2, c3, a0, a1, b0, b1, accumulate, inv, low, high);
  put<T>(y + 2 * line, c4, c5, a0, a1, b0, b1, accumulate, inv, low, high);
  put<T>(y + 3 * line, c6, c7, a0, a1, b0, b1, accumulate, inv, low, high);
  put<T>(y4, c8, c9, a0, a1, b0, b1, accumulate, inv, low, high);
}

/** Up to BLOCK rows over one panel. */
function block<T>(
  a: usize, p: usize, k: i32, sums: usize, zero: i32,
  alpha: usize, bias: usize, y: usize, line: usize, rows: i32, accumulate: i32,
  inv: f32, low: f32, high: f32,
): void {
  const groupBytes = <usize>k << 2, steps = k >> 2, last = (rows - 1) >> 2;
  const rest = rows - (last << 2), lent = rest > last ? 0 : rest; // rows of the last group
  let b = a + <usize>last * groupBytes, sum4 = word(sums, last << 2), y4 = y + <usize>(last << 2) * line;
  for (let g = 0; g <= last; g++, a += groupBytes, sums += 16, y += line << 2) {
    if (g < lent) {
      tile5x8<T>(a, b, p, steps, sums, sum4, zero, alpha, bias, y, y4, line, accumulate, inv, low, high);
      b += 4; sum4 += 4; y4 += line;
    } else if (g < last) {
      tile4x8<T>(a, p, steps, sums, zero, alpha, bias, y, line, 4, accumulate, inv, low, high);
    } else if (!lent) {
      tile4x8<T>(a, p, steps, sums, zero, alpha, bias, y, line, rest, accumulate, inv, low, high);
    }
  }
}

/** Weights of `bits` bits, or of 4 in groups of `group` columns where that is not 0 (bits 8: their products). */
@inline function gemm<T>(
  bits: i32, group: i32, a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
  inv: f32, low: f32, high: f32,
): void {
  const line = <usize>ldy * sizeof<T>();
  const panelBytes = group > 0 ? groupedBytes(k, group) : <usize>k * (bits == 4 ? 4 : 8);
  const zero: i32 = bits == 8 ? flipOf() : 1 << (bits - 1);
  const most = max(BLOCK, CACHED / k / BLOCK * BLOCK);
  for (let m0 = 0; m0 < rows; m0 += most) {
    const m1 = min(rows, m0 + most);
    for (let n = n0; n < n1; n += 8) {
      let p = w + <usize>(n >> 3) * panelBytes;
      if (group > 0) {
        unpackGroups(p + scaleBytes(k, group), p, scratch, 0, k >> 2, group >> 2, zero);
        p = scratch;
      } else if (bits == 4) {
        unpackNibbles(p, scratch, k >> 2);
        p = scratch;
      } else if (bits == 8 && zero != 0) {
        flipBytes(p, scratch, k >> 2);
        p = scratch;
      }
      for (let m = m0; m < m1; m += BLOCK) {
        block<T>(a + <usize>m * <usize>k, p, k, word(sums, m), zero, word(alpha, n), word(bias, n),
          y + <usize>n * sizeof<T>() + <usize>m * line, line, min(BLOCK, m1 - m), accumulate, inv, low, high);
      }
    }
  }
}

export function gemm_w4a8__relaxed_dot_5x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm<f32>(4, 0, a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate, 1, 0, 0);
}

export function gemm_w8a8__relaxed_dot8_5x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm<f32>(8, 0, a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate, 1, 0, 0);
}

export function gemm_w8a7__relaxed_dot8_5x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm<f32>(8, 0, a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate, 1, 0, 0);
}

export function gemm_w4ga8__relaxed_dot8_5x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, group: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  gemm<f32>(8, group, a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, accumulate, 1, 0, 0);
}

export function gemm_w4a8_s8__relaxed_dot_5x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, inv: f32, low: f32, high: f32,
): void {
  gemm<i8>(4, 0, a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, 0, inv, low, high);
}

export function gemm_w8a8_s8__relaxed_dot8_5x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  rows: i32, k: i32, ldy: i32, n0: i32, n1: i32, scratch: usize, inv: f32, low: f32, high: f32,
): void {
  gemm<i8>(8, 0, a, sums, w, alpha, bias, y, rows, k, ldy, n0, n1, scratch, 0, inv, low, high);
}
