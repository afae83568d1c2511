// f32 rows → static int8 codes and their row sums, the end of every quantizing kernel.
//
//   A4 (group 4)  row r of a group: 4 bytes every 16   ┌r0 k0–3┬r1 k0–3┬r2 k0–3┬r3 k0–3┐
//                                                      └───────┴───────┴───────┴───────┘
//   A1 (group 1)  plain row: 4 bytes every 4
//   k is padded to a multiple of 32 with 0, rows to a multiple of the group with 0.
import { roundUp, word } from "./vector";

/**
 * rne(x) clamped to −128..127, int32 lanes; NaN gives 127. pmin and pmax are one
 * instruction each, and adding 1.5·2^23 (`magic`) leaves the rounded integer in the
 * low bits, which spares trunc_sat's six. The constants come from outside the loop.
 */
@inline function rne8(x: v128, top: v128, bottom: v128, magic: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.pmax(f32x4.pmin(top, x), bottom), magic), magic);
}

/** Four floats as int32 on a static scale: round(clamp(x·inv, low, high)), half to even. */
@inline export function level(x: v128, inv: v128, low: v128, high: v128, magic: v128): v128 {
  return rne8(f32x4.mul(x, inv), high, low, magic);
}

/** Four codes of four floats, in every 32-bit lane; constants as in rne8. */
@inline export function codes4(x: v128, top: v128, bottom: v128, magic: v128): v128 {
  const q = rne8(x, top, bottom, magic), h = i16x8.narrow_i32x4_s(q, q);
  return i8x16.narrow_i16x8_s(h, h);
}

@inline export function pairSums(q: v128): v128 {
  return i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(q));
}

/** Sum of the four lanes. */
@inline export function total(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) +
    i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3);
}

/** Where the codes of a row begin. */
@inline export function rowOf(a: usize, r: i32, k: i32, group: i32): usize {
  const kp = <usize>roundUp(k, 32);
  return group == 1 ? a + <usize>r * kp : a + <usize>(r >> 2) * 4 * kp + <usize>((r & 3) << 2);
}

/** Codes of one row of k floats (a multiple of 4), its padding and its sum. */
export function storeRow(x: usize, scale: f32, a: usize, sum: usize, k: i32, group: i32): void {
  const inv = f32x4.splat(scale), step = <usize>group << 2;
  const top = f32x4.splat(127), bottom = f32x4.splat(-128), magic = f32x4.splat(12582912);
  let sums = i32x4.splat(0), j = 0;
  for (; j + 16 <= k; j += 16, x += 64) {
    const v0 = rne8(f32x4.mul(v128.load(x), inv), top, bottom, magic);
    const v1 = rne8(f32x4.mul(v128.load(x, 16), inv), top, bottom, magic);
    const v2 = rne8(f32x4.mul(v128.load(x, 32), inv), top, bottom, magic);
    const v3 = rne8(f32x4.mul(v128.load(x, 48), inv), top, bottom, magic);
    const q = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(v0, v1), i16x8.narrow_i32x4_s(v2, v3));
    sums = i32x4.add(sums, pairSums(q));
    v128.store32_lane(a, q, 0); a += step;
    v128.store32_lane(a, q, 1); a += step;
    v128.store32_lane(a, q, 2); a += step;
    v128.store32_lane(a, q, 3); a += step;
  }
  let rest: i32 = 0;
  for (; j < k; j += 4, x += 16, a += step) {
    const q = codes4(f32x4.mul(v128.load(x), inv), top, bottom, magic);
    rest += total(pairSums(q)) >> 2; // the four codes stand there four times
    v128.store32_lane(a, q, 0);
  }
  store<i32>(sum, total(sums) + rest);
  for (; j < roundUp(k, 32); j += 4, a += step) store<i32>(a, 0);
}

/** Codes of a transformed row, channel 0 split off where `outlier` is not 0. */
@inline export function storeRotated(
  h: usize, inv: f32, outlier: usize, a: usize, sums: usize, k: i32, r: i32, group: i32,
): void {
  if (outlier) {
    store<f32>(word(outlier, r), load<f32>(h));
    store<f32>(h, 0);
  }
  storeRow(h, inv, rowOf(a, r, k, group), word(sums, r), k, group);
}

/** Zero rows from row1 to the end of its group. */
export function padRows(a: usize, sums: usize, k: i32, row1: i32, group: i32): void {
  for (let r = row1; r < roundUp(row1, group); r++) {
    let to = rowOf(a, r, k, group);
    for (let j = 0; j < roundUp(k, 32); j += 4, to += 16) store<i32>(to, 0);
    store<i32>(sums + (<usize>r << 2), 0);
  }
}
