// int32 tile → y: out = f32(acc − zero·rowsum)·alpha + bias, stored or added, or int8 on a
// static scale.
//
//   tile [rows][8] int32 ─▶ y rows, 8 columns wide, stride ldy
import { level } from "./codes";
import { word } from "./vector";

@inline function scaled(acc: v128, z: v128, alpha: v128, bias: v128): v128 {
  const exact = f32x4.convert_i32x4_s(i32x4.sub(acc, z));
  return f32x4.add(f32x4.mul(exact, alpha), bias);
}

export function epilogue(
  tile: usize, sums: usize, zero: i32, alpha: usize, bias: usize, y: usize,
  rows: i32, ldy: i32, accumulate: i32,
): void {
  const a0 = v128.load(alpha), a1 = v128.load(alpha, 16);
  const b0 = v128.load(bias), b1 = v128.load(bias, 16), z = i32x4.splat(zero);
  for (let m = 0; m < rows; m++) {
    const offset = i32x4.mul(v128.load32_splat(sums), z);
    let lo = scaled(v128.load(tile), offset, a0, b0);
    let hi = scaled(v128.load(tile, 16), offset, a1, b1);
    if (accumulate) {
      lo = f32x4.add(v128.load(y), lo);
      hi = f32x4.add(v128.load(y, 16), hi);
    }
    v128.store(y, lo);
    v128.store(y, hi, 16);
    tile += 32; sums += 4; y = word(y, ldy);
  }
}

/** The same to int8: round(clamp(out·inv, low, high)); rows of y are ldy bytes apart. */
export function epilogueBytes(
  tile: usize, sums: usize, zero: i32, alpha: usize, bias: usize, y: usize,
  rows: i32, ldy: i32, inv: f32, low: f32, high: f32,
): void {
  const a0 = v128.load(alpha), a1 = v128.load(alpha, 16);
  const b0 = v128.load(bias), b1 = v128.load(bias, 16), z = i32x4.splat(zero);
  const scale = f32x4.splat(inv), least = f32x4.splat(low), most = f32x4.splat(high), magic = f32x4.splat(12582912);
  for (let m = 0; m < rows; m++) {
    const offset = i32x4.mul(v128.load32_splat(sums), z);
    const lo = level(scaled(v128.load(tile), offset, a0, b0), scale, least, most, magic);
    const hi = level(scaled(v128.load(tile, 16), offset, a1, b1), scale, least, most, magic);
    const q = i16x8.narrow_i32x4_s(lo, hi);
    v128.store64_lane(y, i8x16.narrow_i16x8_s(q, q), 0);
    tile += 32; sums += 4; y += <usize>ldy;
  }
}
