// f32 heads → rotate-half RoPE (or none) → static int8, one scale per head, into
// query rows or straight into the K/V cache.
//
//   head: ┌ low half ┬ high half ┐     low'  = low·cos − high·sin
//         └──────────┴───────────┘     high' = high·cos + low·sin
//
//   queries  [row][heads·d]                      4 codes = 4 bytes
//   K cache  head: [cap/8][d/4][8 keys][4 d]     4 codes = 4 bytes
//   V cache  head: [d/8][cap/4][8 d][4 keys]     4 codes = 4 bytes, 4 B apart
import { codes4 } from "./codes";
import { word } from "./vector";

/** Codes of elements d…d+3 to a query row. */
@inline function toQuery(to: usize, d: i32, q: v128): void {
  v128.store32_lane(to + <usize>d, q, 0);
}

/** … to a key: `to` is the key's place in its panel. */
@inline function toKey(to: usize, d: i32, q: v128): void {
  v128.store32_lane(to + (<usize>d << 3), q, 0);
}

/** Codes of one head: rotated halves, or straight where `cos` is 0. */
@inline function head(
  key: bool, x: usize, cos: usize, sin: usize, inv: v128, to: usize, headDim: i32,
): void {
  const top = f32x4.splat(127), bottom = f32x4.splat(-128), magic = f32x4.splat(12582912);
  if (!cos) {
    for (let d = 0; d < headDim; d += 4) {
      const q = codes4(f32x4.mul(v128.load(word(x, d)), inv), top, bottom, magic);
      if (key) toKey(to, d, q); else toQuery(to, d, q);
    }
    return;
  }
  const half = headDim >> 1;
  for (let d = 0; d < half; d += 4) {
    const low = v128.load(word(x, d)), high = v128.load(word(x, d + half));
    const c = v128.load(word(cos, d)), s = v128.load(word(sin, d));
    const a = codes4(f32x4.mul(f32x4.sub(f32x4.mul(low, c), f32x4.mul(high, s)), inv), top, bottom, magic);
    const b = codes4(f32x4.mul(f32x4.add(f32x4.mul(high, c), f32x4.mul(low, s)), inv), top, bottom, magic);
    if (key) { toKey(to, d, a); toKey(to, d + half, b); }
    else { toQuery(to, d, a); toQuery(to, d + half, b); }
  }
}

export function queries_f32_s8__simd(
  x: usize, ldx: i32, positions: usize, cos: usize, sin: usize, inv: usize,
  out: usize, row0: i32, row1: i32, heads: i32, headDim: i32,
): void {
  for (let r = row0; r < row1; r++) {
    const at = cos ? <usize>load<i32>(word(positions, r)) * <usize>headDim << 1 : 0;
    let from = x + (<usize>r * <usize>ldx << 2), to = out + <usize>(r * heads) * <usize>headDim;
    for (let h = 0; h < heads; h++, from = word(from, headDim), to += headDim) {
      head(false, from, cos ? cos + at : 0, sin + at, v128.load32_splat(word(inv, h)), to, headDim);
    }
  }
}

export function keys_f32_s8__simd(
  x: usize, ldx: i32, positions: usize, cos: usize, sin: usize, inv: usize,
  cache: usize, capacity: i32, slot: i32, row0: i32, row1: i32, heads: i32, headDim: i32,
): void {
  const headBytes = <usize>capacity * <usize>headDim;
  for (let r = row0; r < row1; r++) {
    const at = cos ? <usize>load<i32>(word(positions, r)) * <usize>headDim << 1 : 0;
    const key = slot + r;
    let from = x + (<usize>r * <usize>ldx << 2);
    let to = cache + <usize>(key >> 3 << 3) * <usize>headDim + <usize>((key & 7) << 2);
    for (let h = 0; h < heads; h++, from = word(from, headDim), to += headBytes) {
      head(true, from, cos ? cos + at : 0, sin + at, v128.load32_splat(word(inv, h)), to, headDim);
    }
  }
}

export function values_f32_s8__simd(
  x: usize, ldx: i32, inv: usize, cache: usize, capacity: i32, slot: i32,
  row0: i32, row1: i32, heads: i32, headDim: i32,
): void {
  const top = f32x4.splat(127), bottom = f32x4.splat(-128), magic = f32x4.splat(12582912);
  const panel = <usize>capacity << 3;
  for (let r = row0; r < row1; r++) {
    const key = slot + r;
    let from = x + (<usize>r * <usize>ldx << 2);
    let to = cache + (<usize>(key >> 2) << 5) + <usize>(key & 3);
    for (let h = 0; h < heads; h++) {
      const scale = v128.load32_splat(word(inv, h));
      for (let d = 0; d < headDim; d += 8, from += 32, to += panel) {
        const a = codes4(f32x4.mul(v128.load(from), scale), top, bottom, magic);
        const b = codes4(f32x4.mul(v128.load(from, 16), scale), top, bottom, magic);
        v128.store8_lane(to, a, 0); v128.store8_lane(to, a, 1, 4);
        v128.store8_lane(to, a, 2, 8); v128.store8_lane(to, a, 3, 12);
        v128.store8_lane(to, b, 0, 16); v128.store8_lane(to, b, 1, 20);
        v128.store8_lane(to, b, 2, 24); v128.store8_lane(to, b, 3, 28);
      }
    }
  }
}
