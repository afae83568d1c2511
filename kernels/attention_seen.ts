// Which keys four query rows see, and scores of those keys.
//
//   keyOrder, 8 keys a panel    ┌ seen ┬ seen ┬ none ┬ none ┬ seen ┬ none ┐
//   runs [first key, keys]…       0, 16                        32, 8
//
// A row sees the keys whose order is at most its own, and, where `first` is not 0, at least
// its first. Image rows stand first in a chunk, so what a row sees may be in several pieces; panels that none of the four sees are
// passed over by everything behind: their weights would be 0, and all sums are exact.
import { word } from "./vector";

// Σ P·v over 1024 keys is less than 1024·2^14·128 = 2^31 in size: int32 holds it. Longer
// rows are added up run by run in float64, which is exact too.
export const BLOCK: i32 = 1024;

@inline function add(runs: usize, first: i32, end: i32): usize {
  for (; first < end; first += BLOCK, runs += 8) {
    store<i32>(runs, first);
    store<i32>(runs, min(BLOCK, end - first), 4);
  }
  return runs;
}

@inline function lanes4(v: v128, largest: bool): v128 {
  const w = v128.shuffle<i32>(v, v, 2, 3, 0, 1);
  const u = largest ? i32x4.max_s(v, w) : i32x4.min_s(v, w), x = v128.shuffle<i32>(u, u, 1, 0, 3, 2);
  return largest ? i32x4.max_s(u, x) : i32x4.min_s(u, x);
}

/** Runs of panels that one of the rows may see; returns their end. All where keyOrder is 0. */
export function seenRuns(keyOrder: usize, k8: i32, order: usize, since: usize, runs: usize): usize {
  if (!keyOrder) return add(runs, 0, k8);
  const top = lanes4(v128.load(order), true);
  const bottom = since ? lanes4(v128.load(since), false) : i32x4.splat(i32.MIN_VALUE);
  let first = -1;
  for (let j = 0; j < k8; j += 8, keyOrder += 32) {
    const a = v128.load(keyOrder), b = v128.load(keyOrder, 16);
    const low = v128.and(i32x4.le_s(a, top), i32x4.ge_s(a, bottom));
    const high = v128.and(i32x4.le_s(b, top), i32x4.ge_s(b, bottom));
    if (v128.any_true(v128.or(low, high))) {
      if (first < 0) first = j;
    } else if (first >= 0) {
      runs = add(runs, first, j);
      first = -1;
    }
  }
  return first < 0 ? runs : add(runs, first, k8);
}

/** Whether every one of 8 keys is there and seen by all four rows. */
@inline export function allSeen(theirs: usize, j: i32, keys: i32, order: usize, since: usize): bool {
  if (j + 8 > keys) return false;
  if (!theirs) return true;
  const a = v128.load(theirs), b = v128.load(theirs, 16);
  if (since && v128.any_true(i32x4.lt_s(i32x4.min_s(a, b), lanes4(v128.load(since), true)))) return false;
  return v128.any_true(i32x4.gt_s(i32x4.max_s(a, b), lanes4(v128.load(order), false))) == 0;
}

/**
 * Scores of 8 keys from j on for one row, from their sums: f32(sum)·scale, −∞ where a key
 * is not seen; the row's running maxima.
 */
@inline export function putScores(
  low: v128, high: v128, scale: usize, s: usize, max: usize,
  all: bool, theirs: usize, order: usize, since: usize, j: i32, keys: i32,
): void {
  const c = v128.load32_splat(scale);
  let a = f32x4.mul(f32x4.convert_i32x4_s(low), c), b = f32x4.mul(f32x4.convert_i32x4_s(high), c);
  if (!all) {
    const unseen = f32x4.splat(-Infinity), last = i32x4.splat(keys);
    const index = i32x4.add(i32x4.splat(j), i32x4(0, 1, 2, 3));
    let seen = i32x4.lt_s(index, last), seenHigh = i32x4.lt_s(i32x4.add(index, i32x4.splat(4)), last);
    if (theirs) {
      const mine = v128.load32_splat(order);
      seen = v128.and(seen, i32x4.le_s(v128.load(theirs), mine));
      seenHigh = v128.and(seenHigh, i32x4.le_s(v128.load(theirs, 16), mine));
      if (since) {
        const first = v128.load32_splat(since);
        seen = v128.and(seen, i32x4.ge_s(v128.load(theirs), first));
        seenHigh = v128.and(seenHigh, i32x4.ge_s(v128.load(theirs, 16), first));
      }
    }
    a = v128.bitselect(a, unseen, seen);
    b = v128.bitselect(b, unseen, seenHigh);
  }
  v128.store(s, a);
  v128.store(s, b, 16);
  v128.store(max, f32x4.pmax(v128.load(max), f32x4.pmax(a, b)));
}

/** Where 8 keys from j on have their orders; 0 where there are none. */
@inline export function ordersOf(keyOrder: usize, j: i32): usize {
  return keyOrder ? word(keyOrder, j) : 0;
}
