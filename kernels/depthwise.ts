// Depthwise convolution of int8 rows: each channel has a filter of its own.
//
//   two taps of 16 channels        interleaved                  int16 pairs         int32 of 4 channels each
//   a0 a1 … a15 ┐
//               ├─▶ a0 b0 a1 b1 … a15 b15 ─extend─▶ 4 × (a b a b a b a b) ─dot, weights─▶ 4 sums
//   b0 b1 … b15 ┘
//
//   weights  [c/16][taps/2][16 channels][2 taps] int16; an odd last tap has weight 0
//
// The taps of a pixel are a list of distances from its corner, and a tap outside of the
// picture is as far away as a row of zeros. Pixels of a line that reach over no edge share
// one list, so two of them are computed at a time and share the weights, too.
//
//   scratch  row of zeros │ list of a line │ list of a pixel
import { level, padRows, pairSums, rowOf, total } from "./codes";
import { roundUp, word } from "./vector";

@inline function mac(c: v128, x: v128, w: v128): v128 {
  return i32x4.add(c, i32x4.dot_i16x8_s(x, w));
}

@inline function interleaveLow(u: v128, v: v128): v128 {
  return v128.shuffle<i8>(u, v, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

@inline function interleaveHigh(u: v128, v: v128): v128 {
  return v128.shuffle<i8>(u, v, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

@inline function scaled(c: v128, alpha: v128, bias: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(c), alpha), bias);
}

/** 16 channels as int8 to a row whose next 4 lie `step` bytes on; returns their sums in 4 lanes. */
@inline function storeBytes(
  q: usize, step: usize, y0: v128, y1: v128, y2: v128, y3: v128, inv: v128, low: v128, high: v128, magic: v128,
): v128 {
  const a = i16x8.narrow_i32x4_s(level(y0, inv, low, high, magic), level(y1, inv, low, high, magic));
  const b = i16x8.narrow_i32x4_s(level(y2, inv, low, high, magic), level(y3, inv, low, high, magic));
  const bytes = i8x16.narrow_i16x8_s(a, b);
  v128.store32_lane(q, bytes, 0);
  v128.store32_lane(q + step, bytes, 1);
  v128.store32_lane(q + 2 * step, bytes, 2);
  v128.store32_lane(q + 3 * step, bytes, 3);
  return pairSums(bytes);
}

/** 16 channels as floats; the first `left` of them, a multiple of 4, exist. */
@inline function storeFloats(y: usize, left: i32, y0: v128, y1: v128, y2: v128, y3: v128): void {
  v128.store(y, y0);
  if (left > 4) v128.store(y, y1, 16);
  if (left > 8) v128.store(y, y2, 32);
  if (left > 12) v128.store(y, y3, 48);
}

/**
 * One pixel whose corner is at x, or with `two` another one at z: all channels, to
 * rows of floats at y and yz, or with `bytes` of int8, their sums at `sums` and the next.
 */
@inline function pixels(
  two: bool, bytes: bool, x: usize, z: usize, list: usize, taps: i32, w: usize, alpha: usize, bias: usize,
  y: usize, yz: usize, step: usize, sums: usize, c: i32, scale: f32, bottom: f32, top: f32,
): void {
  const inv = f32x4.splat(scale), least = f32x4.splat(bottom), most = f32x4.splat(top);
  const magic = f32x4.splat(12582912), end = list + (<usize>taps << 2);
  let s = i32x4.splat(0), sz = s;
  for (let j = 0; j < c; j += 16, x += 16, z += 16, alpha += 64, bias += 64) {
    let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, d0 = c0, d1 = c0, d2 = c0, d3 = c0;
    for (let at = list; at < end; at += 8, w += 64) {
      const both = load<u64>(at), first = <usize>both, second = <usize>(both >> 32);
      let u = v128.load(x + first), v = v128.load(x + second);
      const lo = interleaveLow(u, v), hi = interleaveHigh(u, v);
      if (two) {
        u = v128.load(z + first); v = v128.load(z + second);
        const lz = interleaveLow(u, v), hz = interleaveHigh(u, v);
        let f = v128.load(w);
        c0 = mac(c0, i16x8.extend_low_i8x16_s(lo), f); d0 = mac(d0, i16x8.extend_low_i8x16_s(lz), f);
        f = v128.load(w, 16);
        c1 = mac(c1, i16x8.extend_high_i8x16_s(lo), f); d1 = mac(d1, i16x8.extend_high_i8x16_s(lz), f);
        f = v128.load(w, 32);
        c2 = mac(c2, i16x8.extend_low_i8x16_s(hi), f); d2 = mac(d2, i16x8.extend_low_i8x16_s(hz), f);
        f = v128.load(w, 48);
        c3 = mac(c3, i16x8.extend_high_i8x16_s(hi), f); d3 = mac(d3, i16x8.extend_high_i8x16_s(hz), f);
      } else {
        c0 = mac(c0, i16x8.extend_low_i8x16_s(lo), v128.load(w));
        c1 = mac(c1, i16x8.extend_high_i8x16_s(lo), v128.load(w, 16));
        c2 = mac(c2, i16x8.extend_low_i8x16_s(hi), v128.load(w, 32));
        c3 = mac(c3, i16x8.extend_high_i8x16_s(hi), v128.load(w, 48));
      }
    }
    const a0 = v128.load(alpha), a1 = v128.load(alpha, 16), a2 = v128.load(alpha, 32), a3 = v128.load(alpha, 48);
    const b0 = v128.load(bias), b1 = v128.load(bias, 16), b2 = v128.load(bias, 32), b3 = v128.load(bias, 48);
    const y0 = scaled(c0, a0, b0), y1 = scaled(c1, a1, b1), y2 = scaled(c2, a2, b2), y3 = scaled(c3, a3, b3);
    if (bytes) {
      s = i32x4.add(s, storeBytes(y, step, y0, y1, y2, y3, inv, least, most, magic));
      y += step << 2;
    } else {
      storeFloats(y, c - j, y0, y1, y2, y3);
      y += 64;
    }
    if (!two) continue;
    const z0 = scaled(d0, a0, b0), z1 = scaled(d1, a1, b1), z2 = scaled(d2, a2, b2), z3 = scaled(d3, a3, b3);
    if (bytes) {
      sz = i32x4.add(sz, storeBytes(yz, step, z0, z1, z2, z3, inv, least, most, magic));
      yz += step << 2;
    } else {
      storeFloats(yz, c - j, z0, z1, z2, z3);
      yz += 64;
    }
  }
  if (!bytes) return;
  store<i32>(sums, total(s));
  if (two) store<i32>(sums, total(sz), 4);
  for (let j = roundUp(c, 16); j < roundUp(c, 32); j += 4, y += step, yz += step) {
    store<i32>(y, 0);
    if (two) store<i32>(yz, 0);
  }
}

/** Distances of the taps from the corner (iy, ix) of a pixel; `none` for those outside of the picture. */
function listTaps(
  list: usize, none: usize, iy: i32, ix: i32, height: i32, width: i32, ld: i32, side: i32,
): void {
  for (let ky = 0; ky < side; ky++) {
    for (let kx = 0; kx < side; kx++, list += 4) {
      const inside = <u32>(iy + ky) < <u32>height && <u32>(ix + kx) < <u32>width;
      store<u32>(list, inside ? <u32>((ky * width + kx) * ld) : <u32>none);
    }
  }
  store<u32>(list, <u32>none);
}

/** Rows [row0, row1) of the output, row by row over its lines. */
@inline function depthwise(
  bytes: bool, x: usize, w: usize, alpha: usize, bias: usize, y: usize, ldy: i32, sums: usize,
  height: i32, width: i32, side: i32, stride: i32, top: i32, left: i32, columns: i32, c: i32,
  row0: i32, row1: i32, group: i32, inv: f32, low: f32, high: f32, scratch: usize,
): void {
  const ld = roundUp(c, 32), taps = roundUp(side * side, 2), step = <usize>group << 2;
  const shared = scratch + <usize>ld, own = shared + (<usize>taps + 1 << 2);
  memory.fill(scratch, 0, <usize>ld);
  const first = (left + stride - 1) / stride, last = (width - side + left) / stride; // reach over neither side
  for (let r = row0; r < row1;) {
    const oy = r / columns, ox = r % columns, end = min(row1, r - ox + columns) - r + ox;
    const iy = oy * stride - top, whole = iy >= 0 && iy + side <= height;
    if (whole) listTaps(shared, 0, iy, 0, height, width, ld, side);
    for (let o = ox; o < end;) {
      const ix = o * stride - left, corner = x + <usize>((iy * width + ix) * ld);
      const to = bytes ? rowOf(y, r, c, group) : y + (<usize>(r * ldy) << 2), sum = word(sums, r);
      if (whole && o >= first && o < last && o + 1 < end) {
        const next = bytes ? rowOf(y, r + 1, c, group) : to + (<usize>ldy << 2);
        pixels(true, bytes, corner, corner + <usize>(stride * ld), shared, taps, w, alpha, bias,
          to, next, step, sum, c, inv, low, high);
        o += 2; r += 2;
      } else {
        listTaps(own, scratch - corner, iy, ix, height, width, ld, side);
        pixels(false, bytes, corner, 0, own, taps, w, alpha, bias, to, 0, step, sum, c, inv, low, high);
        o++; r++;
      }
    }
  }
  if (bytes) padRows(y, sums, c, row1, group);
}

export function depthwise_w8a8__simd_2x16(
  x: usize, w: usize, alpha: usize, bias: usize, y: usize, ldy: i32,
  height: i32, width: i32, side: i32, stride: i32, top: i32, left: i32, columns: i32, c: i32,
  row0: i32, row1: i32, scratch: usize,
): void {
  depthwise(false, x, w, alpha, bias, y, ldy, 0, height, width, side, stride, top, left, columns, c,
    row0, row1, 1, 1, 0, 0, scratch);
}

export function depthwise_w8a8_s8__simd_2x16(
  x: usize, w: usize, alpha: usize, bias: usize, inv: f32, low: f32, high: f32,
  height: i32, width: i32, side: i32, stride: i32, top: i32, left: i32, columns: i32,
  q: usize, sums: usize, c: i32, row0: i32, row1: i32, group: i32, scratch: usize,
): void {
  depthwise(true, x, w, alpha, bias, q, 0, sums, height, width, side, stride, top, left, columns, c,
    row0, row1, group, inv, low, high, scratch);
}
