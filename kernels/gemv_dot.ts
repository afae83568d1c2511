// One row × weights of 4 to 8 bits, where a 32-bit dot product is one instruction: decode,
// bound by memory where the weights come from there.
//
//   two panels at a time      p ──▶ 8 columns        a lane of the row serves both;
//   (neighbours in memory)    q ──▶ 8 columns        of a last odd panel p = q
//
//   w4, one step = 16 B of a panel, 8 columns × 4 k, whole bytes:
//     c0 += dot([k0–3]×4, both nibbles)       Σ a·high = c1 / 16
//     c1 += dot([k0–3]×4, 16·high nibble)     Σ a·low  = c0 − c1, exactly
//   Where bytes are signed the top bit is flipped: high is then w, not w + 8.
//
//   A dot product waits 5 cycles for the one before it on the same sum: even and odd
//   steps have sums of their own. Warm weights of 4 bits: 11 GB/s with two sums, 22 with
//   eight, 28 by whole bytes, 33 by two panels; cold 7 to 8 by one panel, 8 to 10 by two
//   (Golden Cove, Nov 2026).
import { dotAdd, flipOf } from "./dot";
import { store8 } from "./gemv_epilogue";
import { lane0, lane1, lane2, lane3, word } from "./vector";

@inline function whole(signed: bool, p: usize, at: usize, flips: v128): v128 {
  const t = v128.load(p + at);
  return signed ? v128.xor(t, flips) : t;
}

@inline function gemvNibbles(
  signed: bool, a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  const high = i8x16.splat(-16), flips = i8x16.splat(-128), panel = <usize>k << 2; // out of the loops:
  const sum = load<i32>(sums), low8 = i32x4.splat(sum << 3);                       // V8 hoists nothing
  const high8 = i32x4.splat(signed ? 0 : sum << 3);
  let p = w + <usize>n0 * <usize>(k >> 1);
  for (let n = n0; n < n1; n += 16) {
    let q = n + 8 < n1 ? p + panel : p;
    let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
    for (let x = a, end = a + k; x < end; x += 16, p += 64, q += 64) {
      const r = v128.load(x);
      let t: v128, u: v128, b: v128;
      b = lane0(r); t = whole(signed, p, 0, flips); u = whole(signed, q, 0, flips);
      c0 = dotAdd(c0, b, t); c1 = dotAdd(c1, b, v128.and(t, high));
      c2 = dotAdd(c2, b, u); c3 = dotAdd(c3, b, v128.and(u, high));
      b = lane1(r); t = whole(signed, p, 16, flips); u = whole(signed, q, 16, flips);
      c4 = dotAdd(c4, b, t); c5 = dotAdd(c5, b, v128.and(t, high));
      c6 = dotAdd(c6, b, u); c7 = dotAdd(c7, b, v128.and(u, high));
      b = lane2(r); t = whole(signed, p, 32, flips); u = whole(signed, q, 32, flips);
      c0 = dotAdd(c0, b, t); c1 = dotAdd(c1, b, v128.and(t, high));
      c2 = dotAdd(c2, b, u); c3 = dotAdd(c3, b, v128.and(u, high));
      b = lane3(r); t = whole(signed, p, 48, flips); u = whole(signed, q, 48, flips);
      c4 = dotAdd(c4, b, t); c5 = dotAdd(c5, b, v128.and(t, high));
      c6 = dotAdd(c6, b, u); c7 = dotAdd(c7, b, v128.and(u, high));
    }
    c0 = i32x4.add(c0, c4); c1 = i32x4.add(c1, c5);
    store8(i32x4.sub(i32x4.sub(c0, c1), low8), i32x4.sub(i32x4.shr_s(c1, 4), high8), 0,
      word(alpha, n), word(bias, n), word(y, n), accumulate);
    if (n + 8 == n1) return;
    c2 = i32x4.add(c2, c6); c3 = i32x4.add(c3, c7);
    store8(i32x4.sub(i32x4.sub(c2, c3), low8), i32x4.sub(i32x4.shr_s(c3, 4), high8), 0,
      word(alpha, n + 8), word(bias, n + 8), word(y, n + 8), accumulate);
    p = q;
  }
}

export function gemv_w4a8__relaxed_dot8_1x16(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  if (flipOf() == 0) gemvNibbles(true, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
  else gemvNibbles(false, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
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
  const offset = load<i32>(sums) * zero, panel = <usize>k << 3;
  let p = w + <usize>n0 * <usize>k;
  for (let n = n0; n < n1; n += 16) {
    let q = n + 8 < n1 ? p + panel : p;
    let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
    for (let x = a, end = a + k; x < end; x += 16, p += 128, q += 128) {
      const r = v128.load(x);
      let b: v128;
      b = lane0(r);
      c0 = dotAdd(c0, b, bytes(bits, p, 0, flips)); c1 = dotAdd(c1, b, bytes(bits, p, 16, flips));
      c2 = dotAdd(c2, b, bytes(bits, q, 0, flips)); c3 = dotAdd(c3, b, bytes(bits, q, 16, flips));
      b = lane1(r);
      c4 = dotAdd(c4, b, bytes(bits, p, 32, flips)); c5 = dotAdd(c5, b, bytes(bits, p, 48, flips));
      c6 = dotAdd(c6, b, bytes(bits, q, 32, flips)); c7 = dotAdd(c7, b, bytes(bits, q, 48, flips));
      b = lane2(r);
      c0 = dotAdd(c0, b, bytes(bits, p, 64, flips)); c1 = dotAdd(c1, b, bytes(bits, p, 80, flips));
      c2 = dotAdd(c2, b, bytes(bits, q, 64, flips)); c3 = dotAdd(c3, b, bytes(bits, q, 80, flips));
      b = lane3(r);
      c4 = dotAdd(c4, b, bytes(bits, p, 96, flips)); c5 = dotAdd(c5, b, bytes(bits, p, 112, flips));
      c6 = dotAdd(c6, b, bytes(bits, q, 96, flips)); c7 = dotAdd(c7, b, bytes(bits, q, 112, flips));
    }
    store8(i32x4.add(c0, c4), i32x4.add(c1, c5), offset, word(alpha, n), word(bias, n), word(y, n), accumulate);
    if (n + 8 == n1) return;
    store8(i32x4.add(c2, c6), i32x4.add(c3, c7), offset,
      word(alpha, n + 8), word(bias, n + 8), word(y, n + 8), accumulate);
    p = q;
  }
}

export function gemv_w5a8__relaxed_dot_1x16(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemvBytes(5, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}

export function gemv_w6a8__relaxed_dot_1x16(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemvBytes(6, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}

export function gemv_w7a8__relaxed_dot_1x16(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemvBytes(7, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}

export function gemv_w8a8__relaxed_dot8_1x16(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemvBytes(8, a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}
