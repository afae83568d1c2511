// One row × weights of 4 to 8 bits, where a 32-bit dot product is one instruction: decode,
// bound by memory where the weights come from there.
//
//   w4, one step = 16 B: 8 columns × 4 k     c0 += dot([k0–3]×4, low nibbles)
//                                            c1 += dot([k0–3]×4, high nibbles)
//   Four steps have sums of their own (c0…c7), added up behind the panel: with two
//   each dot product waits for the one before it (11 against 22 GB/s of warm weights;
//   Golden Cove, Nov 2026). One sequential stream per thread, as in gemv_i8.ts.
import { dotAdd, flipOf } from "./dot";
import { store8 } from "./gemv_epilogue";
import { lane0, lane1, lane2, lane3, word } from "./vector";

@inline function sum4(a: v128, b: v128, c: v128, d: v128): v128 {
  return i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
}

export function gemv_w4a8__relaxed_dot_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  const mask = i8x16.splat(15); // out of the loops: V8 does not hoist it
  let p = w + <usize>n0 * <usize>(k >> 1);
  for (let n = n0; n < n1; n += 8) {
    let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
    for (let x = a, end = a + k; x < end; x += 16, p += 64) {
      const r = v128.load(x);
      let t: v128, b: v128;
      t = v128.load(p); b = lane0(r);
      c0 = dotAdd(c0, b, v128.and(t, mask)); c1 = dotAdd(c1, b, v128.and(i16x8.shr_u(t, 4), mask));
      t = v128.load(p, 16); b = lane1(r);
      c2 = dotAdd(c2, b, v128.and(t, mask)); c3 = dotAdd(c3, b, v128.and(i16x8.shr_u(t, 4), mask));
      t = v128.load(p, 32); b = lane2(r);
      c4 = dotAdd(c4, b, v128.and(t, mask)); c5 = dotAdd(c5, b, v128.and(i16x8.shr_u(t, 4), mask));
      t = v128.load(p, 48); b = lane3(r);
      c6 = dotAdd(c6, b, v128.and(t, mask)); c7 = dotAdd(c7, b, v128.and(i16x8.shr_u(t, 4), mask));
    }
    store8(sum4(c0, c2, c4, c6), sum4(c1, c3, c5, c7), load<i32>(sums) << 3,
      word(alpha, n), word(bias, n), word(y, n), accumulate);
  }
}

@inline function loadFlipped(signed: bool, p: usize, at: usize, flips: v128): v128 {
  const t = v128.load(p + at);
  return signed ? v128.xor(t, flips) : t;
}

/**
 * Whole bytes: c0 += dot([k0–3]×4, both nibbles), c1 += dot([k0–3]×4, 16·high). Then
 * Σ a·high = c1/16 and Σ a·low = c0 − c1, exactly, and a step has 4 instructions
 * instead of 6 (22 against 27 GB/s of warm weights). Where bytes are signed the top bit is
 * flipped: high is then w, not w + 8.
 */
@inline function gemvWhole(
  signed: bool, a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  const high = i8x16.splat(-16), flips = i8x16.splat(-128);
  const sum = load<i32>(sums), low8 = i32x4.splat(sum << 3), high8 = i32x4.splat(signed ? 0 : sum << 3);
  let p = w + <usize>n0 * <usize>(k >> 1);
  for (let n = n0; n < n1; n += 8) {
    let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
    for (let x = a, end = a + k; x < end; x += 16, p += 64) {
      const r = v128.load(x);
      let t: v128, b: v128;
      t = loadFlipped(signed, p, 0, flips); b = lane0(r);
      c0 = dotAdd(c0, b, t); c1 = dotAdd(c1, b, v128.and(t, high));
      t = loadFlipped(signed, p, 16, flips); b = lane1(r);
      c2 = dotAdd(c2, b, t); c3 = dotAdd(c3, b, v128.and(t, high));
      t = loadFlipped(signed, p, 32, flips); b = lane2(r);
      c4 = dotAdd(c4, b, t); c5 = dotAdd(c5, b, v128.and(t, high));
      t = loadFlipped(signed, p, 48, flips); b = lane3(r);
      c6 = dotAdd(c6, b, t); c7 = dotAdd(c7, b, v128.and(t, high));
    }
    const both = sum4(c0, c2, c4, c6), upper = sum4(c1, c3, c5, c7);
    store8(i32x4.sub(i32x4.sub(both, upper), low8), i32x4.sub(i32x4.shr_s(upper, 4), high8), 0,
      word(alpha, n), word(bias, n), word(y, n), accumulate);
  }
}

export function gemv_w4a8__relaxed_dot8_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  if (flipOf() == 0) gemvWhole(true, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
  else gemvWhole(false, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}

@inline function bytes(bits: i32, p: usize, at: usize, flips: v128): v128 {
  const t = v128.load(p + at);
  return bits == 8 ? v128.xor(t, flips) : t;
}

/** Weights of one byte: w + zero, or signed for 8 bits. */
@inline function gemvBytes(
  bits: i32, a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  const zero: i32 = bits == 8 ? flipOf() : 1 << (bits - 1), flips = i8x16.splat(<i8>zero);
  let p = w + <usize>n0 * <usize>k;
  for (let n = n0; n < n1; n += 8) {
    let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
    for (let x = a, end = a + k; x < end; x += 16, p += 128) {
      const r = v128.load(x);
      let b: v128;
      b = lane0(r);
      c0 = dotAdd(c0, b, bytes(bits, p, 0, flips)); c1 = dotAdd(c1, b, bytes(bits, p, 16, flips));
      b = lane1(r);
      c2 = dotAdd(c2, b, bytes(bits, p, 32, flips)); c3 = dotAdd(c3, b, bytes(bits, p, 48, flips));
      b = lane2(r);
      c4 = dotAdd(c4, b, bytes(bits, p, 64, flips)); c5 = dotAdd(c5, b, bytes(bits, p, 80, flips));
      b = lane3(r);
      c6 = dotAdd(c6, b, bytes(bits, p, 96, flips)); c7 = dotAdd(c7, b, bytes(bits, p, 112, flips));
    }
    store8(sum4(c0, c2, c4, c6), sum4(c1, c3, c5, c7), load<i32>(sums) * zero,
      word(alpha, n), word(bias, n), word(y, n), accumulate);
  }
}

export function gemv_w5a8__relaxed_dot_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemvBytes(5, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}

export function gemv_w6a8__relaxed_dot_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemvBytes(6, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}

export function gemv_w7a8__relaxed_dot_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemvBytes(7, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}

export function gemv_w8a8__relaxed_dot8_1x8(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemvBytes(8, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}
