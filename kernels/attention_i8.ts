// Parts of attention in 32-bit dot products of bytes, where those are one instruction.
//
//   Q  [d/4][4 rows][4 d] int8      K is the second operand: + flip, and Σ q·flip is
//                                   taken off again (dot.ts)
//   P  two of [keys/4][4 rows][4 keys] bytes: p = 128·high + low, both below 128, so that
//      P is a second operand as it is and Σ p·v = 128·Σ high·v + Σ low·v exactly
import { allSeen, ordersOf, putScores } from "./attention_seen";
import { weight } from "./attention_weights";
import { total } from "./codes";
import { dotAdd } from "./dot";
import { lane0, lane1, lane2, lane3 } from "./vector";

@inline function four(q: usize): v128 {
  return i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(v128.load(q)));
}

/** 4 int8 query rows → Q, and where the sums of their scores begin: [4] of −flip·Σ q behind it. */
export function gather(
  q0: usize, q1: usize, q2: usize, q3: usize, to: usize, headDim: i32, flip: i32,
): void {
  let sums = i32x4.splat(0);
  for (let d: usize = 0, end = <usize>headDim; d < end; d += 4, to += 16) {
    v128.store(to, v128.load32_lane(q3 + d, v128.load32_lane(q2 + d,
      v128.load32_lane(q1 + d, v128.load32_zero(q0 + d), 1), 2), 3));
    sums = i32x4.add(sums, four(to));
  }
  v128.store(to, i32x4.mul(sums, i32x4.splat(-flip)));
}

/** Scores of a run of keys for 4 rows, `line` bytes apart. */
export function scores(
  q: usize, k: usize, s: usize, line: usize, max: usize, scale: usize,
  order: usize, since: usize, keyOrder: usize, first: i32, end: i32, keys: i32, headDim: i32, flip: i32,
): void {
  const flips = i8x16.splat(<i8>flip), q1 = q + (<usize>headDim << 2);
  k += <usize>first * <usize>headDim;
  for (let j = first; j < end; j += 8, s += 32) {
    const begin = v128.load(q1);
    let c0 = lane0(begin), c1 = c0, c2 = lane1(begin), c3 = c2;
    let c4 = lane2(begin), c5 = c4, c6 = lane3(begin), c7 = c6;
    for (let x = q; x < q1; x += 16, k += 32) {
      const rows = v128.load(x), lo = v128.xor(v128.load(k), flips), hi = v128.xor(v128.load(k, 16), flips);
      let r = lane0(rows); c0 = dotAdd(c0, r, lo); c1 = dotAdd(c1, r, hi);
      r = lane1(rows); c2 = dotAdd(c2, r, lo); c3 = dotAdd(c3, r, hi);
      r = lane2(rows); c4 = dotAdd(c4, r, lo); c5 = dotAdd(c5, r, hi);
      r = lane3(rows); c6 = dotAdd(c6, r, lo); c7 = dotAdd(c7, r, hi);
    }
    const theirs = ordersOf(keyOrder, j), all = allSeen(theirs, j, keys, order, since);
    putScores(c0, c1, scale, s, max, all, theirs, order, since, j, keys);
    putScores(c2, c3, scale + 4, s + line, max + 16, all, theirs, order + 4, since ? since + 4 : 0, j, keys);
    putScores(c4, c5, scale + 8, s + 2 * line, max + 32, all, theirs, order + 8, since ? since + 8 : 0, j, keys);
    putScores(c6, c7, scale + 12, s + 3 * line, max + 48, all, theirs, order + 12, since ? since + 12 : 0, j, keys);
  }
}

/** P from powers: high halves at p, low ones at `low`; sums [4] int32. */
export function narrow(s: usize, line: usize, p: usize, low: usize, sums: usize, bytes: usize): void {
  const one = f32x4.splat(16383), magic = f32x4.splat(12582912), seven = i16x8.splat(127);
  let t0 = i32x4.splat(0), t1 = t0, t2 = t0, t3 = t0;
  for (const end = s + bytes; s < end; s += 16, p += 16, low += 16) {
    const a = weight(s, one, magic), b = weight(s + line, one, magic);
    const c = weight(s + 2 * line, one, magic), d = weight(s + 3 * line, one, magic);
    t0 = i32x4.add(t0, a); t1 = i32x4.add(t1, b); t2 = i32x4.add(t2, c); t3 = i32x4.add(t3, d);
    const ab = i16x8.narrow_i32x4_s(a, b), cd = i16x8.narrow_i32x4_s(c, d);
    v128.store(p, i8x16.narrow_i16x8_s(i16x8.shr_u(ab, 7), i16x8.shr_u(cd, 7)));
    v128.store(low, i8x16.narrow_i16x8_s(v128.and(ab, seven), v128.and(cd, seven)));
  }
  store<i32>(sums, total(t0)); store<i32>(sums, total(t1), 4);
  store<i32>(sums, total(t2), 8); store<i32>(sums, total(t3), 12);
}

/** tile [4][8] int32 = (or += where `add`) Σ P·v of 8 columns d over a run of keys. */
export function values(p: usize, low: usize, v: usize, tile: usize, keys: i32, add: bool): void {
  let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
  const end = v + (<usize>keys << 3);
  for (let x = v; x < end; x += 32, p += 16) {
    const rows = v128.load(p), lo = v128.load(x), hi = v128.load(x, 16);
    let r = lane0(rows); c0 = dotAdd(c0, lo, r); c1 = dotAdd(c1, hi, r);
    r = lane1(rows); c2 = dotAdd(c2, lo, r); c3 = dotAdd(c3, hi, r);
    r = lane2(rows); c4 = dotAdd(c4, lo, r); c5 = dotAdd(c5, hi, r);
    r = lane3(rows); c6 = dotAdd(c6, lo, r); c7 = dotAdd(c7, hi, r);
  }
  c0 = i32x4.shl(c0, 7); c1 = i32x4.shl(c1, 7); c2 = i32x4.shl(c2, 7); c3 = i32x4.shl(c3, 7);
  c4 = i32x4.shl(c4, 7); c5 = i32x4.shl(c5, 7); c6 = i32x4.shl(c6, 7); c7 = i32x4.shl(c7, 7);
  if (add) {
    c0 = i32x4.add(c0, v128.load(tile)); c1 = i32x4.add(c1, v128.load(tile, 16));
    c2 = i32x4.add(c2, v128.load(tile, 32)); c3 = i32x4.add(c3, v128.load(tile, 48));
    c4 = i32x4.add(c4, v128.load(tile, 64)); c5 = i32x4.add(c5, v128.load(tile, 80));
    c6 = i32x4.add(c6, v128.load(tile, 96)); c7 = i32x4.add(c7, v128.load(tile, 112));
  }
  for (let x = v; x < end; x += 32, low += 16) {
    const rows = v128.load(low), lo = v128.load(x), hi = v128.load(x, 16);
    let r = lane0(rows); c0 = dotAdd(c0, lo, r); c1 = dotAdd(c1, hi, r);
    r = lane1(rows); c2 = dotAdd(c2, lo, r); c3 = dotAdd(c3, hi, r);
    r = lane2(rows); c4 = dotAdd(c4, lo, r); c5 = dotAdd(c5, hi, r);
    r = lane3(rows); c6 = dotAdd(c6, lo, r); c7 = dotAdd(c7, hi, r);
  }
  v128.store(tile, c0); v128.store(tile, c1, 16); v128.store(tile, c2, 32); v128.store(tile, c3, 48);
  v128.store(tile, c4, 64); v128.store(tile, c5, 80); v128.store(tile, c6, 96); v128.store(tile, c7, 112);
}
