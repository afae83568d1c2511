// Powers of two in float32 over a row, with every operation rounded on its own, so that
// they are the same numbers on every machine (views.ts has them in TypeScript). e^x is
// 2^(x·log2 e): the factor comes in with the scale that is there anyway.
//
//   y = n + f,  |f| ≤ 1/2      2^y = 2^n · (1 + f·q(f))      2^n is added to the exponent bits
//
// q has degree 5 (error 2e-9), by pairs of terms: this loop is limited by the length of
// its chain, 39 cycles here against 75 of Horner's rule on e^x with ln 2 in two parts
// (20 → 11 cycles per vector; Zen 4, Nov 2026). It is a loop of its own, not a helper in
// other loops, for its constants: V8 builds a splat anew at every use inside a loop.

/** What stands around the power. */
export const PLAIN: i32 = 0;     // to ← 2^((x + shift)·factor)
export const SQUARE: i32 = 1;    // to ← 2^(x²·factor)
export const OVER: i32 = 2;      // to ← x / (1 + 2^(x·factor))
export const OVER_CUBE: i32 = 3; // to ← x / (1 + 2^((x + 0.044715·x³)·factor))

@inline function horner(p: v128, r: v128, c: v128): v128 {
  return f32x4.add(f32x4.mul(p, r), c);
}

/** A form over `bytes`, a multiple of 16; to may be x. shift is 0 in all forms but PLAIN. */
export function powerRow(form: i32, x: usize, to: usize, bytes: usize, shift: f32, factor: f32): void {
  const offset = f32x4.splat(shift), scale = f32x4.splat(factor);
  const lowest = f32x4.splat(-125), highest = f32x4.splat(126); // 2^y stays normal
  const magic = f32x4.splat(12582912); // 1.5·2^23: rounds to even, n in the low bits
  const c0 = f32x4.splat(0.6931471824645996), c1 = f32x4.splat(0.24022647738456726);
  const c2 = f32x4.splat(0.055503323674201965), c3 = f32x4.splat(0.00961843691766262);
  const c4 = f32x4.splat(0.0013398875016719103), c5 = f32x4.splat(0.00015353361959569156);
  const cubic = f32x4.splat(0.044715), one = f32x4.splat(1);
  for (let j: usize = 0; j < bytes; j += 16) {
    const v = v128.load(x + j);
    let y = f32x4.add(v, offset);
    if (form == SQUARE) y = f32x4.mul(v, v);
    else if (form == OVER_CUBE) y = horner(f32x4.mul(f32x4.mul(v, v), v), cubic, v);
    y = f32x4.pmin(highest, f32x4.pmax(lowest, f32x4.mul(y, scale)));
    const t = f32x4.add(y, magic), f = f32x4.sub(y, f32x4.sub(t, magic)), ff = f32x4.mul(f, f);
    const q = horner(horner(horner(c5, f, c4), ff, horner(c3, f, c2)), ff, horner(c1, f, c0));
    y = i32x4.add(horner(q, f, one), i32x4.shl(t, 23));
    if (form >= OVER) y = f32x4.div(v, f32x4.add(one, y));
    v128.store(to + j, y);
  }
}
