// int32 sums of 8 columns → y: f32(sum)·alpha + bias, as floats, stored or added (T = f32),
// or as int8 on a static scale, round(clamp(·inv, low, high)) (T = i8).
//
//   tile [rows][8] int32 ─▶ y rows, 8 columns wide, `line` bytes apart
import { level } from "./codes";

@inline function scaled(c: v128, alpha: v128, bias: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(c), alpha), bias);
}

/** One row. */
@inline export function put<T>(
  y: usize, c: v128, d: v128, a0: v128, a1: v128, b0: v128, b1: v128, accumulate: i32,
  inv: f32, low: f32, high: f32,
): void {
  let lo = scaled(c, a0, b0), hi = scaled(d, a1, b1);
  if (sizeof<T>() == 1) {
    const scale = f32x4.splat(inv), least = f32x4.splat(low), most = f32x4.splat(high), magic = f32x4.splat(12582912);
    const q = i16x8.narrow_i32x4_s(level(lo, scale, least, most, magic), level(hi, scale, least, most, magic));
    v128.store64_lane(y, i8x16.narrow_i16x8_s(q, q), 0);
    return;
  }
  if (accumulate) {
    lo = f32x4.add(v128.load(y), lo);
    hi = f32x4.add(v128.load(y, 16), hi);
  }
  v128.store(y, lo);
  v128.store(y, hi, 16);
}

/** All rows of a tile. */
export function epilogue<T>(
  tile: usize, alpha: usize, bias: usize, y: usize, rows: i32, line: usize, accumulate: i32,
  inv: f32, low: f32, high: f32,
): void {
  const a0 = v128.load(alpha), a1 = v128.load(alpha, 16), b0 = v128.load(bias), b1 = v128.load(bias, 16);
  for (let m = 0; m < rows; m++, tile += 32, y += line) {
    put<T>(y, v128.load(tile), v128.load(tile, 16), a0, a1, b0, b1, accumulate, inv, low, high);
  }
}
