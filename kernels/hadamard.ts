// The online Hadamard transform of rows, in float or straight into codes.
//
//   x row ─·signs, rotate▶ h (scratch) ┬─·scale▶ x (in place)
//                                      └─rne(h·inv)▶ A4/A1 codes, row sum
//   Rotation Magnitude Suppression: h[0] ─▶ outlier[row], its code is 0.
import { padRows, storeRotated } from "./codes";
import { rotate } from "./rotate";

export function hadamard_f32__simd(
  x: usize, ldx: i32, signs: usize, matrix: usize, order: i32, outer: i32, scale: f32,
  k: i32, row0: i32, row1: i32, scratch: usize,
): void {
  const s = f32x4.splat(scale), bytes = <usize>k << 2;
  for (let r = row0; r < row1; r++) {
    const row = x + (<usize>r * <usize>ldx << 2);
    const h = rotate(row, signs, scratch, matrix, order, outer, k);
    for (let j: usize = 0; j < bytes; j += 16) v128.store(row + j, f32x4.mul(v128.load(h + j), s));
  }
}

export function hadamard_f32_s8__simd(
  x: usize, ldx: i32, signs: usize, matrix: usize, order: i32, outer: i32, inv: f32, outlier: usize,
  a: usize, sums: usize, k: i32, row0: i32, row1: i32, group: i32, scratch: usize,
): void {
  for (let r = row0; r < row1; r++) {
    const h = rotate(x + (<usize>r * <usize>ldx << 2), signs, scratch, matrix, order, outer, k);
    storeRotated(h, inv, outlier, a, sums, k, r, group);
  }
  padRows(a, sums, k, row1, group);
}
