// One row × weights of 4 to 8 bits, where a 32-bit dot product is one instruction: decode,
// bound by memory where the weights come from there.
//
//   panels n0/8 … n1/8 in four stretches, one panel of each at a time:
//
//   p ──▶ ┌────────────┐ q ──▶ ┌────────────┐ r ──▶ ┌────────────┐ s ──▶ ┌────────┐
//         │ 8 columns  │       │            │       │            │       │        │ shorter: s = p
//         └────────────┘       └────────────┘       └────────────┘       └────────┘ there, not stored
//
//   A prefetcher stops at the end of a 4 KiB page, and finding the next one takes as long as
//   reading half of it; four streams that each go straight on hide it. One after the other,
//   cold: 12 to 25 GB/s by pairs of neighbours, 17 to 28 by fours of neighbours, 27 to 30 by
//   four stretches, which is what a plain read gets (Golden Cove, Nov 2026).
//
//   w4, one step = 16 B of a panel, 8 columns × 4 k, whole bytes:
//     c0 += dot([k0–3]×4, both nibbles)       Σ a·high = c1 / 16
//     c1 += dot([k0–3]×4, 16·high nibble)     Σ a·low  = c0 − c1, exactly
//   Where bytes are signed the top bit is flipped: high is then w, not w + 8.
//
//   A dot product waits 5 cycles for the one before it on the same sum, and a lane of the
//   row serves four panels, two sums each.
import { dotAdd, flipOf } from "./dot";
import { groupedBytes, scaleBytes } from "./gemm_unpack";
import { store8 } from "./gemv_epilogue";
import { groupSums, highGroup, lowGroup, TOTALS } from "./gemv_groups";
import { lane0, lane1, lane2, lane3, word } from "./vector";

/** Columns from one stretch to the next. */
@inline function stretch(n0: i32, n1: i32): i32 {
  return (n1 - n0 + 31) >> 5 << 3;
}

@inline function whole(signed: bool, p: usize, at: usize, flips: v128): v128 {
  const t = v128.load(p + at);
  return signed ? v128.xor(t, flips) : t;
}

/** Sums of columns 0–3 from those of whole bytes and of high nibbles. */
@inline function lowSums(c: v128, h: v128, low8: v128): v128 {
  return i32x4.sub(i32x4.sub(c, h), low8);
}

/** Sums of columns 4–7. */
@inline function highSums(h: v128, high8: v128): v128 {
  return i32x4.sub(i32x4.shr_s(h, 4), high8);
}

/** Sums of 8 columns to y. */
@inline function storeNibbles(
  c: v128, h: v128, low8: v128, high8: v128, alpha: usize, bias: usize, y: usize, n: i32, accumulate: i32,
): void {
  store8(lowSums(c, h, low8), highSums(h, high8), 0, word(alpha, n), word(bias, n), word(y, n), accumulate);
}

/** Sums of a group, 8 columns, times its scales, to the totals at `total`. */
@inline function addNibbles(total: usize, c: v128, h: v128, low8: v128, high8: v128, scales: usize): void {
  v128.store(total, lowGroup(v128.load(total), lowSums(c, h, low8), scales));
  v128.store(total, highGroup(v128.load(total, 16), highSums(h, high8), scales), 16);
}

@inline function storeTotals(total: usize, alpha: usize, bias: usize, y: usize, n: i32, accumulate: i32): void {
  store8(v128.load(total), v128.load(total, 16), 0, word(alpha, n), word(bias, n), word(y, n), accumulate);
}

/** Groups of `group` columns where `grouped`; else group is k, and there is no scratch. */
@inline function gemvNibbles(
  signed: bool, grouped: bool, a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, group: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  const high = i8x16.splat(-16), flips = i8x16.splat(-128);                        // out of the loops:
  const sum = load<i32>(sums), low8 = i32x4.splat(sum << 3);                       // V8 hoists nothing
  const high8 = i32x4.splat(signed ? 0 : sum << 3), end = a + <usize>k;
  const panelBytes = grouped ? groupedBytes(k, group) : <usize>k << 2;
  const step = stretch(n0, n1), far = <usize>(step >> 3) * panelBytes;
  if (grouped) groupSums(a, k, group, scratch + TOTALS);
  const head: usize = grouped ? scaleBytes(k, group) : 0; // scales lie in front of codes
  let p = w + <usize>(n0 >> 3) * panelBytes + head;
  for (let n = n0, stop = n0 + step; n < stop; n += 8) {
    const nq = n + step, nr = nq + step, ns = nr + step;
    let q = nq < n1 ? p + far : p, r = nr < n1 ? p + 2 * far : p, s = ns < n1 ? p + 3 * far : p;
    let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
    if (grouped) memory.fill(scratch, 0, TOTALS);
    for (let x = a, g = 0; x < end; g++) {
      for (const last = x + <usize>group; x < last; x += 16, p += 64, q += 64, r += 64, s += 64) {
        const row = v128.load(x);
        let t: v128, u: v128, b = lane0(row);
        t = whole(signed, p, 0, flips); u = whole(signed, q, 0, flips);
        c0 = dotAdd(c0, b, t); c1 = dotAdd(c1, b, v128.and(t, high));
        c2 = dotAdd(c2, b, u); c3 = dotAdd(c3, b, v128.and(u, high));
        t = whole(signed, r, 0, flips); u = whole(signed, s, 0, flips);
        c4 = dotAdd(c4, b, t); c5 = dotAdd(c5, b, v128.and(t, high));
        c6 = dotAdd(c6, b, u); c7 = dotAdd(c7, b, v128.and(u, high));
        b = lane1(row);
        t = whole(signed, p, 16, flips); u = whole(signed, q, 16, flips);
        c0 = dotAdd(c0, b, t); c1 = dotAdd(c1, b, v128.and(t, high));
        c2 = dotAdd(c2, b, u); c3 = dotAdd(c3, b, v128.and(u, high));
        t = whole(signed, r, 16, flips); u = whole(signed, s, 16, flips);
        c4 = dotAdd(c4, b, t); c5 = dotAdd(c5, b, v128.and(t, high));
        c6 = dotAdd(c6, b, u); c7 = dotAdd(c7, b, v128.and(u, high));
        b = lane2(row);
        t = whole(signed, p, 32, flips); u = whole(signed, q, 32, flips);
        c0 = dotAdd(c0, b, t); c1 = dotAdd(c1, b, v128.and(t, high));
        c2 = dotAdd(c2, b, u); c3 = dotAdd(c3, b, v128.and(u, high));
        t = whole(signed, r, 32, flips); u = whole(signed, s, 32, flips);
        c4 = dotAdd(c4, b, t); c5 = dotAdd(c5, b, v128.and(t, high));
        c6 = dotAdd(c6, b, u); c7 = dotAdd(c7, b, v128.and(u, high));
        b = lane3(row);
        t = whole(signed, p, 48, flips); u = whole(signed, q, 48, flips);
        c0 = dotAdd(c0, b, t); c1 = dotAdd(c1, b, v128.and(t, high));
        c2 = dotAdd(c2, b, u); c3 = dotAdd(c3, b, v128.and(u, high));
        t = whole(signed, r, 48, flips); u = whole(signed, s, 48, flips);
        c4 = dotAdd(c4, b, t); c5 = dotAdd(c5, b, v128.and(t, high));
        c6 = dotAdd(c6, b, u); c7 = dotAdd(c7, b, v128.and(u, high));
      }
      if (grouped) {
        const l8 = v128.load32_splat(word(scratch + TOTALS, g)), h8 = signed ? i32x4.splat(0) : l8;
        const back = (x - a << 2) + head - (<usize>g << 3); // from here to the scales of the group
        addNibbles(scratch, c0, c1, l8, h8, p - back); addNibbles(scratch + 32, c2, c3, l8, h8, q - back);
        addNibbles(scratch + 64, c4, c5, l8, h8, r - back); addNibbles(scratch + 96, c6, c7, l8, h8, s - back);
        c0 = c1 = c2 = c3 = c4 = c5 = c6 = c7 = i32x4.splat(0);
      }
    }
    if (grouped) {
      p += head;
      storeTotals(scratch, alpha, bias, y, n, accumulate);
      if (nq < n1) storeTotals(scratch + 32, alpha, bias, y, nq, accumulate);
      if (nr < n1) storeTotals(scratch + 64, alpha, bias, y, nr, accumulate);
      if (ns < n1) storeTotals(scratch + 96, alpha, bias, y, ns, accumulate);
      continue;
    }
    storeNibbles(c0, c1, low8, high8, alpha, bias, y, n, accumulate);
    if (nq < n1) storeNibbles(c2, c3, low8, high8, alpha, bias, y, nq, accumulate);
    if (nr < n1) storeNibbles(c4, c5, low8, high8, alpha, bias, y, nr, accumulate);
    if (ns < n1) storeNibbles(c6, c7, low8, high8, alpha, bias, y, ns, accumulate);
  }
}

export function gemv_w4a8__relaxed_dot8_1x32(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  if (flipOf() == 0) gemvNibbles(true, false, a, sums, w, alpha, bias, y, k, k, n0, n1, 0, accumulate);
  else gemvNibbles(false, false, a, sums, w, alpha, bias, y, k, k, n0, n1, 0, accumulate);
}

export function gemv_w4ga8__relaxed_dot8_1x32(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, group: i32, n0: i32, n1: i32, scratch: usize, accumulate: i32,
): void {
  if (flipOf() == 0) gemvNibbles(true, true, a, sums, w, alpha, bias, y, k, group, n0, n1, scratch, accumulate);
  else gemvNibbles(false, true, a, sums, w, alpha, bias, y, k, group, n0, n1, scratch, accumulate);
}

@inline function bytes(p: usize, at: usize, flips: v128): v128 {
  return v128.xor(v128.load(p + at), flips);
}

/** 8-bit weights. */
@inline function gemvBytes(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  const zero: i32 = flipOf(), flips = i8x16.splat(<i8>zero);
  const offset = load<i32>(sums) * zero, step = stretch(n0, n1), far = <usize>step * <usize>k;
  let p = w + <usize>n0 * <usize>k;
  for (let n = n0, end = n0 + step; n < end; n += 8) {
    const nq = n + step, nr = nq + step, ns = nr + step;
    let q = nq < n1 ? p + far : p, r = nr < n1 ? p + 2 * far : p, s = ns < n1 ? p + 3 * far : p;
    let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
    for (let x = a, last = a + k; x < last; x += 16, p += 128, q += 128, r += 128, s += 128) {
      const row = v128.load(x);
      let b = lane0(row);
      c0 = dotAdd(c0, b, bytes(p, 0, flips)); c1 = dotAdd(c1, b, bytes(p, 16, flips));
      c2 = dotAdd(c2, b, bytes(q, 0, flips)); c3 = dotAdd(c3, b, bytes(q, 16, flips));
      c4 = dotAdd(c4, b, bytes(r, 0, flips)); c5 = dotAdd(c5, b, bytes(r, 16, flips));
      c6 = dotAdd(c6, b, bytes(s, 0, flips)); c7 = dotAdd(c7, b, bytes(s, 16, flips));
      b = lane1(row);
      c0 = dotAdd(c0, b, bytes(p, 32, flips)); c1 = dotAdd(c1, b, bytes(p, 48, flips));
      c2 = dotAdd(c2, b, bytes(q, 32, flips)); c3 = dotAdd(c3, b, bytes(q, 48, flips));
      c4 = dotAdd(c4, b, bytes(r, 32, flips)); c5 = dotAdd(c5, b, bytes(r, 48, flips));
      c6 = dotAdd(c6, b, bytes(s, 32, flips)); c7 = dotAdd(c7, b, bytes(s, 48, flips));
      b = lane2(row);
      c0 = dotAdd(c0, b, bytes(p, 64, flips)); c1 = dotAdd(c1, b, bytes(p, 80, flips));
      c2 = dotAdd(c2, b, bytes(q, 64, flips)); c3 = dotAdd(c3, b, bytes(q, 80, flips));
      c4 = dotAdd(c4, b, bytes(r, 64, flips)); c5 = dotAdd(c5, b, bytes(r, 80, flips));
      c6 = dotAdd(c6, b, bytes(s, 64, flips)); c7 = dotAdd(c7, b, bytes(s, 80, flips));
      b = lane3(row);
      c0 = dotAdd(c0, b, bytes(p, 96, flips)); c1 = dotAdd(c1, b, bytes(p, 112, flips));
      c2 = dotAdd(c2, b, bytes(q, 96, flips)); c3 = dotAdd(c3, b, bytes(q, 112, flips));
      c4 = dotAdd(c4, b, bytes(r, 96, flips)); c5 = dotAdd(c5, b, bytes(r, 112, flips));
      c6 = dotAdd(c6, b, bytes(s, 96, flips)); c7 = dotAdd(c7, b, bytes(s, 112, flips));
    }
    store8(c0, c1, offset, word(alpha, n), word(bias, n), word(y, n), accumulate);
    if (nq < n1) store8(c2, c3, offset, word(alpha, nq), word(bias, nq), word(y, nq), accumulate);
    if (nr < n1) store8(c4, c5, offset, word(alpha, nr), word(bias, nr), word(y, nr), accumulate);
    if (ns < n1) store8(c6, c7, offset, word(alpha, ns), word(bias, ns), word(y, ns), accumulate);
  }
}

export function gemv_w8a8__relaxed_dot8_1x32(
  a: usize, sums: usize, w: usize, alpha: usize, bias: usize, y: usize,
  k: i32, n0: i32, n1: i32, accumulate: i32,
): void {
  gemvBytes(a, sums, w, alpha, bias, y, k, n0, n1, accumulate);
}
