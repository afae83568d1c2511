// Integer attention. A work item is 4 query rows of one kv head (grouped heads
// count as rows, so that they share every key and value that is read).
//
//   keyOrder ─attention_seen▶ runs of keys that one of the 4 rows sees (`reach`: so many back)
//   q ─gather▶ Q
//   Q · K panels of 8 keys ─▶ scores ─·scale, mask▶ S [4][keys] f32, row maxima
//   S ─attention_weights▶ P, row sums
//   P · V panels of 8 d ─▶ Σ P·v ─·(valueScale / ΣP)▶ y
//
//   scratch:  tile 128 B │ f64 sums 256 B │ row data 128 B │ Q 8·d + 16 B │ runs keys B │ S 16·keys B │ P 8·keys B
//
// Both sums are exact integers, so the order of the keys changes nothing: image
// tokens may stand first in the cache. The products are those of attention_i16.ts, or of
// attention_i8.ts with `dots`.
import * as i8s from "./attention_i8";
import * as i16s from "./attention_i16";
import { BLOCK, seenRuns } from "./attention_seen";
import { powers } from "./attention_weights";
import { flipOf } from "./dot";
import { roundUp, word } from "./vector";

/** out[4][8] f64 += tile [4][8] int32 */
@inline function addExact(out: usize, tile: usize): void {
  for (let i: usize = 0; i < 32; i += 4) {
    const t = v128.load(tile + (i << 2)), o = out + (i << 3);
    v128.store(o, f64x2.add(v128.load(o), f64x2.convert_low_i32x4_s(t)));
    const high = v128.shuffle<i32>(t, t, 2, 3, 2, 3);
    v128.store(o, f64x2.add(v128.load(o, 16), f64x2.convert_low_i32x4_s(high)), 16);
  }
}

/** Σ P·v of 8 columns d over the runs, n keys in all, as f32 [4][8] to `tile`. */
@inline function weighted(
  dots: bool, p: usize, v: usize, tile: usize, exact: usize, runs: usize, end: usize, n: i32,
): void {
  const long = n > BLOCK, half = <usize>n << 2;
  if (long) memory.fill(exact, 0, 256);
  for (let run = runs; run < end; run += 8) {
    const from = v + (<usize>load<i32>(run) << 3), keys = load<i32>(run, 4), add = !long && run > runs;
    if (ASC_FEATURE_RELAXED_SIMD && dots) {
      i8s.values(p, p + half, from, tile, keys, add);
      p += <usize>keys << 2;
    } else {
      i16s.values(p, from, tile, keys, add);
      p += <usize>keys << 3;
    }
    if (long) addExact(exact, tile);
  }
  if (long) {
    for (let i: usize = 0; i < 32; i++) store<f32>(tile + (i << 2), <f32>load<f64>(exact + (i << 3)));
  } else {
    for (let i: usize = 0; i < 128; i += 16) v128.store(tile + i, f32x4.convert_i32x4_s(v128.load(tile + i)));
  }
}

@inline export function attend(
  dots: bool,
  q: usize, k: usize, v: usize, y: usize, ldy: i32, scoreScale: usize, valueScale: usize,
  queryOrder: usize, keyOrder: usize, queryPlace: usize, reach: i32, rows: i32, keys: i32, capacity: i32,
  heads: i32, kvHeads: i32, headDim: i32, item0: i32, item1: i32, scratch: usize,
): void {
  const group = heads / kvHeads, all = rows * group, perHead = (all + 3) >> 2;
  const headBytes = <usize>capacity * <usize>headDim, k8 = roundUp(keys, 8), line = <usize>k8 << 2;
  const tile = scratch, exact = tile + 128, maxima = exact + 256;
  const scale = maxima + 64, order = scale + 16, sums = order + 16;
  const firsts = sums + 16, since: usize = queryOrder && reach > 0 ? firsts : 0;
  const queries = firsts + 16, runs = queries + (<usize>headDim << 3) + 16;
  const s = runs + <usize>roundUp(k8, 16), p = s + 4 * line;
  let flip = 0;
  if (ASC_FEATURE_RELAXED_SIMD && dots) flip = flipOf();
  if (!queryOrder) keyOrder = 0;
  for (let item = item0; item < item1; item++) {
    const kv = item / perHead, u0 = (item - kv * perHead) << 2, count = min(4, all - u0);
    const keyHead = k + <usize>kv * headBytes, valueHead = v + <usize>kv * headBytes;
    let from0: usize = 0, from1: usize = 0, from2: usize = 0, from3: usize = 0;
    for (let i = 3; i >= 0; i--) { // rows past the end repeat the first
      const u = u0 + (i < count ? i : 0), r = u / group, h = kv * group + u % group;
      store<f32>(word(scale, i), load<f32>(word(scoreScale, h)));
      if (queryOrder) store<i32>(word(order, i), load<i32>(word(queryOrder, r)));
      if (since) store<i32>(word(since, i), load<i32>(word(queryPlace, r)) - reach + 1);
      from3 = from2; from2 = from1; from1 = from0;
      from0 = q + <usize>(r * heads + h) * <usize>headDim;
      v128.store(maxima + (<usize>i << 4), f32x4.splat(-Infinity));
    }
    if (ASC_FEATURE_RELAXED_SIMD && dots) i8s.gather(from0, from1, from2, from3, queries, headDim, flip);
    else i16s.gather(from0, from1, from2, from3, queries, headDim);
    const end = seenRuns(keyOrder, k8, order, since, runs);
    let n = 0;
    for (let run = runs; run < end; run += 8) {
      const first = load<i32>(run), last = first + load<i32>(run, 4), to = word(s, n);
      if (ASC_FEATURE_RELAXED_SIMD && dots) {
        i8s.scores(queries, keyHead, to, line, maxima, scale, order, since, keyOrder, first, last, keys, headDim, flip);
      } else {
        i16s.scores(queries, keyHead, to, line, maxima, tile, scale, order, since, keyOrder, first, last, keys, headDim);
      }
      n += last - first;
    }
    const bytes = <usize>n << 2;
    powers(s, line, maxima, bytes);
    if (ASC_FEATURE_RELAXED_SIMD && dots) i8s.narrow(s, line, p, p + bytes, sums, bytes);
    else i16s.narrow(s, line, p, sums, bytes);
    const sv = load<f32>(word(valueScale, kv));
    for (let d = 0; d < headDim; d += 8) {
      weighted(dots, p, valueHead + <usize>d * <usize>capacity, tile, exact, runs, end, n);
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
