// Depthwise convolution to int8 with relaxed SIMD, where x is nowhere negative (depthwise_rows.ts).
import { depthwise } from "./depthwise_rows";

export function depthwise_w8a8_s8__relaxed_2x16(
  x: usize, nonNegative: i32, w: usize, alpha: usize, bias: usize, inv: f32, low: f32, high: f32,
  height: i32, width: i32, side: i32, stride: i32, top: i32, left: i32, columns: i32,
  q: usize, sums: usize, c: i32, row0: i32, row1: i32, group: i32, scratch: usize,
): void {
  if (nonNegative) {
    depthwise(true, true, x, w, alpha, bias, q, 0, sums, height, width, side, stride, top, left, columns, c,
      row0, row1, group, inv, low, high, scratch);
  } else {
    depthwise(false, true, x, w, alpha, bias, q, 0, sums, height, width, side, stride, top, left, columns, c,
      row0, row1, group, inv, low, high, scratch);
  }
}
