// Parts of attention in int16 products (tile_i16.ts), plain SIMD128.
//
//   Q  [d/4][4 rows][4 d] int16          P  [keys/4][4 rows][4 keys] int16
import { allSeen, ordersOf, putScores } from "./attention_seen";
import { weight } from "./attention_weights";
import { total } from "./codes";
import { tile4x8 } from "./tile_i16";

/** 4 int8 query rows → Q. */
export function gather(q0: usize, q1: usize, q2: usize, q3: usize, to: usize, headDim: i32): void {
  for (let d: usize = 0, end = <usize>headDim; d < end; d += 4, to += 32) {
    v128.store(to, i16x8.extend_low_i8x16_s(
      v128.load32_lane(q1 + d, v128.load32_zero(q0 + d), 1)));
    v128.store(to, i16x8.extend_low_i8x16_s(
      v128.load32_lane(q3 + d, v128.load32_zero(q2 + d), 1)), 16);
  }
}

/** Scores of a run of keys for 4 rows, `line` bytes apart. */
export function scores(
  q: usize, k: usize, s: usize, line: usize, max: usize, tile: usize, scale: usize,
  order: usize, since: usize, keyOrder: usize, first: i32, end: i32, keys: i32, headDim: i32,
): void {
  const panel = <usize>headDim << 3;
  k += <usize>first * <usize>headDim;
  for (let j = first; j < end; j += 8, k += panel, s += 32) {
    tile4x8<i16, i8>(q, k, tile, headDim, false);
    const theirs = ordersOf(keyOrder, j), all = allSeen(theirs, j, keys, order, since);
    for (let r: usize = 0; r < 4; r++) {
      const t = tile + (r << 5);
      putScores(v128.load(t), v128.load(t, 16), scale + (r << 2), s + r * line, max + (r << 4),
        all, theirs, order + (r << 2), since ? since + (r << 2) : 0, j, keys);
    }
  }
}

/** P from powers, and its sums [4] int32. */
export function narrow(s: usize, line: usize, p: usize, sums: usize, bytes: usize): void {
  const one = f32x4.splat(16383), magic = f32x4.splat(12582912);
  let t0 = i32x4.splat(0), t1 = t0, t2 = t0, t3 = t0;
  for (const end = s + bytes; s < end; s += 16, p += 32) {
    const a = weight(s, one, magic), b = weight(s + line, one, magic);
    t0 = i32x4.add(t0, a); t1 = i32x4.add(t1, b);
    v128.store(p, i16x8.narrow_i32x4_s(a, b));
    const c = weight(s + 2 * line, one, magic), d = weight(s + 3 * line, one, magic);
    t2 = i32x4.add(t2, c); t3 = i32x4.add(t3, d);
    v128.store(p, i16x8.narrow_i32x4_s(c, d), 16);
  }
  store<i32>(sums, total(t0)); store<i32>(sums, total(t1), 4);
  store<i32>(sums, total(t2), 8); store<i32>(sums, total(t3), 12);
}

/** tile [4][8] int32 = (or += where `add`) Σ P·v of 8 columns d over a run of keys. */
export function values(p: usize, v: usize, tile: usize, keys: i32, add: bool): void {
  tile4x8<i16, i8>(p, v, tile, keys, add);
}
