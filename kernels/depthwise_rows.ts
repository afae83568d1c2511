// Depthwise convolution of int8 rows: each channel has a filter of its own. Two pixels at
// a time share the weights, 16 channels at a time:
//
//   two taps                       interleaved                  int16 pairs         int32 of 4 channels each
//   a0 a1 … a15 ┐
//               ├─▶ a0 b0 a1 b1 … a15 b15 ─extend─▶ 4 × (a b a b a b a b) ─dot, weights─▶ 4 sums
//   b0 b1 … b15 ┘
//
// Where x is nowhere negative, relaxed builds let one instruction do the products of a pair
// (|Σ| ≤ 2·128·127 fits int16), and fold two pairs at a time: 1.4 to 1.6 times as fast
// (Ice Lake, Dec 2026).
//
//   weights  [c/16][pairs][16 channels][2 taps] int8, an odd number of pairs, padding 0
//   scratch  row of zeros │ taps of an inner pixel │ of pixel 0 │ of pixel 1
//
// The taps of a pixel are distances from its corner. Those of a tap outside of the picture
// lead to the row of zeros; all pixels that reach over no edge share one list.
import { level, padRows, pairSums, rowOf, total } from "./codes";
import { roundUp, word } from "./vector";

@inline function mac(c: v128, x: v128, w: v128): v128 {
  return i32x4.add(c, i32x4.dot_i16x8_s(x, w));
}

@inline function low8(u: v128, v: v128): v128 {
  return v128.shuffle<i8>(u, v, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

@inline function high8(u: v128, v: v128): v128 {
  return v128.shuffle<i8>(u, v, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

@inline function low16(u: v128, v: v128): v128 {
  return v128.shuffle<i16>(u, v, 0, 8, 1, 9, 2, 10, 3, 11);
}

@inline function high16(u: v128, v: v128): v128 {
  return v128.shuffle<i16>(u, v, 4, 12, 5, 13, 6, 14, 7, 15);
}

@inline function dot(w: v128, x: v128): v128 {
  return i16x8.relaxed_dot_i8x16_i7x16_s(w, x);
}

@inline function scaled(c: v128, alpha: v128, bias: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(c), alpha), bias);
}

/** 16 channels as bytes. */
@inline function bytesOf(
  y0: v128, y1: v128, y2: v128, y3: v128, inv: v128, low: v128, high: v128, magic: v128,
): v128 {
  const a = i16x8.narrow_i32x4_s(level(y0, inv, low, high, magic), level(y1, inv, low, high, magic));
  const b = i16x8.narrow_i32x4_s(level(y2, inv, low, high, magic), level(y3, inv, low, high, magic));
  return i8x16.narrow_i16x8_s(a, b);
}

/** 16 channels of both pixels: rows of their own, or neighbours in a block of 4 rows. */
@inline function storeBytes(y: usize, z: usize, u: v128, v: v128, group: i32): void {
  if (group == 1) {
    v128.store(y, u);
    v128.store(z, v);
    return;
  }
  const lo = v128.shuffle<i32>(u, v, 0, 4, 1, 5), hi = v128.shuffle<i32>(u, v, 2, 6, 3, 7);
  v128.store64_lane(y, lo, 0);
  v128.store64_lane(y, lo, 1, 16);
  v128.store64_lane(y, hi, 0, 32);
  v128.store64_lane(y, hi, 1, 48);
}

/** 16 channels as floats; the first `left` of them, a multiple of 4, exist. */
@inline function storeFloats(y: usize, left: i32, y0: v128, y1: v128, y2: v128, y3: v128): void {
  v128.store(y, y0);
  if (left > 4) v128.store(y, y1, 16);
  if (left > 8) v128.store(y, y2, 32);
  if (left > 12) v128.store(y, y3, 48);
}

/**
 * All channels of the pixels with corners x and z, whose taps are at `list` and `other`: to
 * rows of floats at y and yz, or with `bytes` of int8, and their sums to `sum` and `sumZ`.
 */
@inline function pixels(
  dots: bool, bytes: bool, x: usize, z: usize, list: usize, other: usize, taps: i32,
  w: usize, alpha: usize, bias: usize, y: usize, yz: usize, sum: usize, sumZ: usize,
  c: i32, group: i32, scale: f32, bottom: f32, top: f32,
): void {
  const inv = f32x4.splat(scale), least = f32x4.splat(bottom), most = f32x4.splat(top);
  const magic = f32x4.splat(12582912), ones = i16x8.splat(1), end = list + (<usize>taps << 2), gap = other - list;
  const step: usize = bytes ? group == 1 ? 16 : 64 : 64;
  let s = i32x4.splat(0), sz = s;
  for (let j = 0; j < c; j += 16, x += 16, z += 16, alpha += 64, bias += 64, y += step, yz += step) {
    let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, d0 = c0, d1 = c0, d2 = c0, d3 = c0, at = list;
    if (ASC_FEATURE_RELAXED_SIMD && dots) {
      // The first pair by itself: the number of pairs is odd.
      let f = v128.load(w), g = v128.load(w, 16), i = load<u64>(at), o = load<u64>(at + gap);
      let u = v128.load(x + <usize>i), v = v128.load(x + <usize>(i >> 32));
      let p = dot(f, low8(u, v)), q = dot(g, high8(u, v));
      c0 = i32x4.extend_low_i16x8_s(p); c1 = i32x4.extend_high_i16x8_s(p);
      c2 = i32x4.extend_low_i16x8_s(q); c3 = i32x4.extend_high_i16x8_s(q);
      u = v128.load(z + <usize>o); v = v128.load(z + <usize>(o >> 32));
      p = dot(f, low8(u, v)); q = dot(g, high8(u, v));
      d0 = i32x4.extend_low_i16x8_s(p); d1 = i32x4.extend_high_i16x8_s(p);
      d2 = i32x4.extend_low_i16x8_s(q); d3 = i32x4.extend_high_i16x8_s(q);
      w += 32;
      for (at += 8; at < end; at += 16, w += 64) {
        i = load<u64>(at); o = load<u64>(at, 8);
        u = v128.load(x + <usize>i); v = v128.load(x + <usize>(i >> 32));
        let k = v128.load(x + <usize>o), l = v128.load(x + <usize>(o >> 32));
        i = load<u64>(at + gap); o = load<u64>(at + gap, 8);
        const uz = v128.load(z + <usize>i), vz = v128.load(z + <usize>(i >> 32));
        const kz = v128.load(z + <usize>o), lz = v128.load(z + <usize>(o >> 32));
        f = v128.load(w); g = v128.load(w, 32);
        p = dot(f, low8(u, v)); q = dot(g, low8(k, l));
        c0 = mac(c0, low16(p, q), ones); c1 = mac(c1, high16(p, q), ones);
        p = dot(f, low8(uz, vz)); q = dot(g, low8(kz, lz));
        d0 = mac(d0, low16(p, q), ones); d1 = mac(d1, high16(p, q), ones);
        f = v128.load(w, 16); g = v128.load(w, 48);
        p = dot(f, high8(u, v)); q = dot(g, high8(k, l));
        c2 = mac(c2, low16(p, q), ones); c3 = mac(c3, high16(p, q), ones);
        p = dot(f, high8(uz, vz)); q = dot(g, high8(kz, lz));
        d2 = mac(d2, low16(p, q), ones); d3 = mac(d3, high16(p, q), ones);
      }
    } else {
      for (; at < end; at += 8, w += 32) {
        const i = load<u64>(at), o = load<u64>(at + gap);
        let u = v128.load(x + <usize>i), v = v128.load(x + <usize>(i >> 32));
        const lo = low8(u, v), hi = high8(u, v);
        u = v128.load(z + <usize>o); v = v128.load(z + <usize>(o >> 32));
        const lz = low8(u, v), hz = high8(u, v);
        let f = v128.load(w), g = i16x8.extend_low_i8x16_s(f);
        c0 = mac(c0, i16x8.extend_low_i8x16_s(lo), g); d0 = mac(d0, i16x8.extend_low_i8x16_s(lz), g);
        g = i16x8.extend_high_i8x16_s(f);
        c1 = mac(c1, i16x8.extend_high_i8x16_s(lo), g); d1 = mac(d1, i16x8.extend_high_i8x16_s(lz), g);
        f = v128.load(w, 16); g = i16x8.extend_low_i8x16_s(f);
        c2 = mac(c2, i16x8.extend_low_i8x16_s(hi), g); d2 = mac(d2, i16x8.extend_low_i8x16_s(hz), g);
        g = i16x8.extend_high_i8x16_s(f);
        c3 = mac(c3, i16x8.extend_high_i8x16_s(hi), g); d3 = mac(d3, i16x8.extend_high_i8x16_s(hz), g);
      }
    }
    let a = v128.load(alpha), b = v128.load(bias);
    const y0 = scaled(c0, a, b), z0 = scaled(d0, a, b);
    a = v128.load(alpha, 16); b = v128.load(bias, 16);
    const y1 = scaled(c1, a, b), z1 = scaled(d1, a, b);
    a = v128.load(alpha, 32); b = v128.load(bias, 32);
    const y2 = scaled(c2, a, b), z2 = scaled(d2, a, b);
    a = v128.load(alpha, 48); b = v128.load(bias, 48);
    const y3 = scaled(c3, a, b), z3 = scaled(d3, a, b);
    if (bytes) {
      const u = bytesOf(y0, y1, y2, y3, inv, least, most, magic);
      const v = bytesOf(z0, z1, z2, z3, inv, least, most, magic);
      s = i32x4.add(s, pairSums(u)); sz = i32x4.add(sz, pairSums(v));
      storeBytes(y, yz, u, v, group);
    } else {
      storeFloats(y, c - j, y0, y1, y2, y3);
      storeFloats(yz, c - j, z0, z1, z2, z3);
    }
  }
  if (!bytes) return;
  store<i32>(sum, total(s));
  store<i32>(sumZ, total(sz));
  const zero = i32x4.splat(0);
  if (roundUp(c, 16) < roundUp(c, 32)) storeBytes(y, yz, zero, zero, group);
}

/** Taps and as many of weight 0 as make an odd number of pairs. */
@inline function tapsOf(side: i32): i32 {
  return (side * side + 1 >> 1 | 1) << 1;
}

/** Distances of the taps from the corner (iy, ix) of a pixel; `none` for those outside of the picture. */
function listTaps(list: usize, none: usize, iy: i32, ix: i32, height: i32, width: i32, ld: i32, side: i32): void {
  for (let ky = 0; ky < side; ky++) {
    for (let kx = 0; kx < side; kx++, list += 4) {
      const inside = <u32>(iy + ky) < <u32>height && <u32>(ix + kx) < <u32>width;
      store<u32>(list, inside ? <u32>((ky * width + kx) * ld) : <u32>none);
    }
  }
  for (let t = side * side; t < tapsOf(side); t++, list += 4) store<u32>(list, <u32>none);
}

/** The list of a pixel: `inner`, or its own where it reaches over an edge. */
@inline function listOf(
  own: usize, inner: usize, none: usize, iy: i32, ix: i32, height: i32, width: i32, ld: i32, side: i32,
): usize {
  if (iy >= 0 && ix >= 0 && iy + side <= height && ix + side <= width) return inner;
  listTaps(own, none, iy, ix, height, width, ld, side);
  return own;
}

/** Rows [row0, row1) of the output, row by row over its lines. */
@inline export function depthwise(
  dots: bool, bytes: bool, x: usize, w: usize, alpha: usize, bias: usize, y: usize, ldy: i32, sums: usize,
  height: i32, width: i32, side: i32, stride: i32, top: i32, left: i32, columns: i32, c: i32,
  row0: i32, row1: i32, group: i32, inv: f32, low: f32, high: f32, scratch: usize,
): void {
  const ld = roundUp(c, 32), taps = tapsOf(side), bytesOfList = <usize>taps << 2;
  const inner = scratch + <usize>ld, first = inner + bytesOfList, second = first + bytesOfList;
  memory.fill(scratch, 0, <usize>ld);
  listTaps(inner, scratch - x, 0, 0, height, width, ld, side);
  const right = columns * stride - left;
  let iy = row0 / columns * stride - top, ix = row0 % columns * stride - left;
  for (let r = row0; r < row1; r += 2) {
    const last = min(r + 1, row1 - 1); // an odd number of rows: the last one twice
    const corner = x + <usize>((iy * width + ix) * ld);
    const list = listOf(first, inner, scratch - corner, iy, ix, height, width, ld, side);
    if (last > r && (ix += stride) == right) { ix = -left; iy += stride; }
    const next = x + <usize>((iy * width + ix) * ld);
    const other = listOf(second, inner, scratch - next, iy, ix, height, width, ld, side);
    if ((ix += stride) == right) { ix = -left; iy += stride; }
    const to = bytes ? rowOf(y, r, c, group) : y + (<usize>(r * ldy) << 2);
    const tz = bytes ? rowOf(y, last, c, group) : y + (<usize>(last * ldy) << 2);
    pixels(dots, bytes, corner, next, list, other, taps, w, alpha, bias, to, tz,
      word(sums, r), word(sums, last), c, group, inv, low, high);
  }
  if (bytes) padRows(y, sums, c, row1, group);
}
