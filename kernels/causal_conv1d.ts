// Causal convolution of each channel along a sequence. What enters is kept by its place,
// so that tokens may be taken in in any order, in several chunks, and be forgotten again:
//
//   cache  row 0 … taps−2   places before the first: zero
//          row taps−1+p     what entered at place p
//
//   x ─·gate, place_f32▶ cache ─all threads meet─ convolve_f32: Σ w·cache, + bias, ·gate ▶ y
import { rowAt, word } from "./vector";

/** cache[places[r]] = x[r] ⊙ gate[r], or x[r]. */
export function conv_state_f32__simd(
  x: usize, ldx: i32, gate: usize, ldg: i32, places: usize, cache: usize, k: i32, row0: i32, row1: i32,
): void {
  const bytes = <usize>k << 2;
  for (let r = row0; r < row1; r++) {
    const from = rowAt(x, r, ldx), to = rowAt(cache, load<i32>(word(places, r)), k);
    if (!gate) {
      memory.copy(to, from, bytes);
      continue;
    }
    const g = rowAt(gate, r, ldg);
    for (let j: usize = 0; j < bytes; j += 16) {
      v128.store(to + j, f32x4.mul(v128.load(from + j), v128.load(g + j)));
    }
  }
}

/** y[r] = (bias + Σ over t of w[t] ⊙ cache[places[r] + t]) ⊙ gate[r], in the order of t. */
export function causal_conv1d_f32__simd(
  cache: usize, places: usize, taps: i32, w: usize, bias: usize, gate: usize, ldg: i32,
  y: usize, ldy: i32, k: i32, row0: i32, row1: i32,
): void {
  const bytes = <usize>k << 2;
  for (let r = row0; r < row1; r++) {
    const from = rowAt(cache, load<i32>(word(places, r)), k), to = rowAt(y, r, ldy);
    const g = rowAt(gate, r, ldg);
    for (let j: usize = 0; j < bytes; j += 16) {
      let sum = bias ? v128.load(bias + j) : f32x4.splat(0), at = from + j, weight = w + j;
      for (let t = 0; t < taps; t++, at += bytes, weight += bytes) {
        sum = f32x4.add(sum, f32x4.mul(v128.load(weight), v128.load(at)));
      }
      v128.store(to + j, gate ? f32x4.mul(sum, v128.load(g + j)) : sum);
    }
  }
}
