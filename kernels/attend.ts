// Integer attention. A work item is 4 query rows of one kv head (grouped heads
// count as rows, so that they share every key and value that is read).
//
//   q ─gather▶ Q [d/4][4 rows][4 d] int16
//   K panels of 8 keys ─tile_i16▶ scores ─·scale, mask▶ S [4][keys] f32, row maxima
//   S ─2^14·e^(s − max), rounded▶ P [keys/4][4 rows][4 keys] int16, row sums
//   V panels of 8 d    ─tile_i16▶ Σ P·v ─·(valueScale / ΣP)▶ y
//
//   scratch:  tile 128 B │ f64 sums 256 B │ row data 112 B │ Q 8·d B │ S 16·keys B │ P 8·keys B
//
// Both sums are exact integers, so the order of the keys changes nothing: image
// tokens may stand first in the cache.
import { total } from "./codes";
import { PLAIN, powerRow } from "./exp";
import { tile4x8 } from "./tile_i16";
import { roundUp, word } from "./vector";

// Σ P·v over 1024 keys is at most 1024·2^14·128 = 2^31 in size: int32 holds it.
// Longer rows are added up in float64, which is exact too.
const BLOCK: i32 = 1024;

const LOG2E: f32 = 1.4426950408889634;

/** 4 int8 query rows → int16, interleaved by 4 d. Rows past the end repeat the first. */
function gather(q0: usize, q1: usize, q2: usize, q3: usize, to: usize, headDim: i32): void {
  for (let d: usize = 0, end = <usize>headDim; d < end; d += 4, to += 32) {
    v128.store(to, i16x8.extend_low_i8x16_s(
      v128.load32_lane(q1 + d, v128.load32_zero(q0 + d), 1)));
    v128.store(to, i16x8.extend_low_i8x16_s(
      v128.load32_lane(q3 + d, v128.load32_zero(q2 + d), 1)), 16);
  }
}

@inline function scaled(acc: usize, scale: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(v128.load(acc)), scale);
}

/** Scores of all keys for 4 rows, −∞ where a key is not seen; maxima [4][4] to `max`. */
function scores(
  q: usize, k: usize, s: usize, max: usize, tile: usize, scale: usize,
  order: usize, keyOrder: usize, keys: i32, headDim: i32,
): void {
  const row = <usize>roundUp(keys, 8) << 2, panel = <usize>headDim << 3;
  const unseen = f32x4.splat(-Infinity), all = i32x4.splat(keys);
  for (let r: usize = 0; r < 64; r += 16) v128.store(max + r, unseen);
  for (let j = 0; j < keys; j += 8, k += panel, s += 32) {
    tile4x8<i16, i8>(q, k, tile, headDim, false);
    const masked = keyOrder != 0 || j + 8 > keys, theirs = word(keyOrder, j);
    for (let r: usize = 0; r < 4; r++) {
      const c = v128.load32_splat(scale + (r << 2)), t = tile + (r << 5), m = max + (r << 4);
      let low = scaled(t, c), high = scaled(t + 16, c);
      if (masked) {
        const index = i32x4.add(i32x4.splat(j), i32x4(0, 1, 2, 3));
        let seen = i32x4.lt_s(index, all), seenHigh = i32x4.lt_s(i32x4.add(index, i32x4.splat(4)), all);
        if (keyOrder) {
          const mine = v128.load32_splat(order + (r << 2));
          seen = v128.and(seen, i32x4.le_s(v128.load(theirs), mine));
          seenHigh = v128.and(seenHigh, i32x4.le_s(v128.load(theirs, 16), mine));
        }
        low = v128.bitselect(low, unseen, seen);
        high = v128.bitselect(high, unseen, seenHigh);
      }
      v128.store(s + r * row, low);
      v128.store(s + r * row, high, 16);
      v128.store(m, f32x4.pmax(v128.load(m), f32x4.pmax(low, high)));
    }
  }
}

@inline function largest(m: usize): f32 {
  return max<f32>(max<f32>(load<f32>(m), load<f32>(m, 4)), max<f32>(load<f32>(m, 8), load<f32>(m, 12)));
}

/** Four weights: rne(2^14·e) of e = e^(s − max). */
@inline function weight(e: usize, one: v128, magic: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(v128.load(e), one), magic), magic);
}

/** Softmax weights of 4 rows and their sums [4] int32 to `sums`; s is used up. */
function weights(s: usize, max: usize, p: usize, sums: usize, keys: i32): void {
  const row = <usize>roundUp(keys, 8) << 2, one = f32x4.splat(16384), magic = f32x4.splat(12582912);
  for (let r: usize = 0; r < 4; r++) {
    powerRow(PLAIN, s + r * row, s + r * row, row, -largest(max + (r << 4)), LOG2E);
  }
  let t0 = i32x4.splat(0), t1 = t0, t2 = t0, t3 = t0;
  for (const end = s + row; s < end; s += 16, p += 32) {
    const a = weight(s, one, magic), b = weight(s + row, one, magic);
    t0 = i32x4.add(t0, a); t1 = i32x4.add(t1, b);
    v128.store(p, i16x8.narrow_i32x4_s(a, b));
    const c = weight(s + 2 * row, one, magic), d = weight(s + 3 * row, one, magic);
    t2 = i32x4.add(t2, c); t3 = i32x4.add(t3, d);
    v128.store(p, i16x8.narrow_i32x4_s(c, d), 16);
  }
  store<i32>(sums, total(t0)); store<i32>(sums, total(t1), 4);
  store<i32>(sums, total(t2), 8); store<i32>(sums, total(t3), 12);
}

/** out[4][8] f64 += tile [4][8] int32 */
@inline function addExact(out: usize, tile: usize): void {
  for (let i: usize = 0; i < 32; i += 4) {
    const t = v128.load(tile + (i << 2)), o = out + (i << 3);
    v128.store(o, f64x2.add(v128.load(o), f64x2.convert_low_i32x4_s(t)));
    const high = v128.shuffle<i32>(t, t, 2, 3, 2, 3);
    v128.store(o, f64x2.add(v128.load(o, 16), f64x2.convert_low_i32x4_s(high)), 16);
  }
}

/** Σ P·v of 8 columns d as f32 [4][8] to `tile`. */
function values(p: usize, v: usize, tile: usize, exact: usize, keys: i32): void {
  const k8 = roundUp(keys, 8);
  if (k8 <= BLOCK) {
    tile4x8<i16, i8>(p, v, tile, k8, false);
    for (let i: usize = 0; i < 128; i += 16) {
      v128.store(tile + i, f32x4.convert_i32x4_s(v128.load(tile + i)));
    }
    return;
  }
  memory.fill(exact, 0, 256);
  for (let j = 0; j < k8; j += BLOCK) {
    tile4x8<i16, i8>(p + (<usize>j << 3), v + (<usize>j << 3), tile, min(BLOCK, k8 - j), false);
    addExact(exact, tile);
  }
  for (let i: usize = 0; i < 32; i++) {
    store<f32>(tile + (i << 2), <f32>load<f64>(exact + (i << 3)));
  }
}

export function attend_s8__simd_4x8(
  q: usize, k: usize, v: usize, y: usize, ldy: i32, scoreScale: usize, valueScale: usize,
  queryOrder: usize, keyOrder: usize, rows: i32, keys: i32, capacity: i32,
  heads: i32, kvHeads: i32, headDim: i32, item0: i32, item1: i32, scratch: usize,
): void {
  const group = heads / kvHeads, all = rows * group, perHead = (all + 3) >> 2;
  const headBytes = <usize>capacity * <usize>headDim, k8 = <usize>roundUp(keys, 8);
  const tile = scratch, exact = tile + 128, maxima = exact + 256;
  const scale = maxima + 64, order = scale + 16, sums = order + 16;
  const queries = sums + 16, s = queries + (<usize>headDim << 3), p = s + (k8 << 4);
  if (!queryOrder) keyOrder = 0;
  for (let item = item0; item < item1; item++) {
    const kv = item / perHead, u0 = (item - kv * perHead) << 2, count = min(4, all - u0);
    let from0: usize = 0, from1: usize = 0, from2: usize = 0, from3: usize = 0;
    for (let i = 3; i >= 0; i--) {
      const u = u0 + (i < count ? i : 0), r = u / group, h = kv * group + u % group;
      store<f32>(word(scale, i), load<f32>(word(scoreScale, h)));
      if (queryOrder) store<i32>(word(order, i), load<i32>(word(queryOrder, r)));
      from3 = from2; from2 = from1; from1 = from0;
      from0 = q + <usize>(r * heads + h) * <usize>headDim;
    }
    gather(from0, from1, from2, from3, queries, headDim);
    scores(queries, k + <usize>kv * headBytes, s, maxima, tile, scale, order, keyOrder, keys, headDim);
    weights(s, maxima, p, sums, keys);
    const sv = load<f32>(word(valueScale, kv));
    for (let d = 0; d < headDim; d += 8) {
      values(p, v + <usize>kv * headBytes + <usize>d * <usize>capacity, tile, exact, keys);
      for (let i = 0; i < count; i++) {
        const u = u0 + i, r = u / group, h = kv * group + u % group;
        const c = f32x4.splat(sv / <f32>load<i32>(word(sums, i)));
        const to = y + (<usize>r * <usize>ldy + <usize>(h * headDim + d) << 2), t = tile + (<usize>i << 5);
        v128.store(to, f32x4.mul(v128.load(t), c));
        v128.store(to, f32x4.mul(v128.load(t, 16), c), 16);
      }
    }
  }
}
