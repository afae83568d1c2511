// From scores to softmax weights in fixed point: p = rne(16383·e^(s − max)), 14 bits, so
// that it is two numbers of 7 bits as well as one of 16 (attention_i8.ts).
import { PLAIN, powerRow } from "./exp";

const LOG2E: f32 = 1.4426950408889634;

@inline function largest(m: usize): f32 {
  return max<f32>(max<f32>(load<f32>(m), load<f32>(m, 4)), max<f32>(load<f32>(m, 8), load<f32>(m, 12)));
}

/** e^(s − max) in place: 4 rows of `bytes`, `line` bytes apart; maxima [4][4]. */
export function powers(s: usize, line: usize, max: usize, bytes: usize): void {
  for (let r: usize = 0; r < 4; r++) {
    powerRow(PLAIN, s + r * line, s + r * line, bytes, -largest(max + (r << 4)), LOG2E);
  }
}

/** Four weights of four powers. */
@inline export function weight(e: usize, one: v128, magic: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(v128.load(e), one), magic), magic);
}
