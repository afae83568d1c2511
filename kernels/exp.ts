// exp in float32 over a row: Cephes' expf with every operation rounded on its own, so
// that it is the same number on every machine (views.ts has it in TypeScript).
//
//   x = n·ln 2 + r,  |r| ≤ ln 2 / 2      e^x = 2^n · (1 + r + r²·p(r))
//
// It is a loop of its own, not a helper in other loops, for its constants: V8 builds
// a splat anew at every use inside a loop, and only locals set before the loop stay
// (11.7 → 5.1 cycles per vector of a polynomial of degree 6; Zen 4, Nov 2026).

@inline function horner(p: v128, r: v128, c: v128): v128 {
  return f32x4.add(f32x4.mul(p, r), c);
}

/** to ← e^(x·factor + shift) over `bytes`, a multiple of 16; to may be x. */
export function expRow(x: usize, to: usize, bytes: usize, factor: v128, shift: v128): void {
  const lowest = f32x4.splat(-87), highest = f32x4.splat(88);
  const magic = f32x4.splat(12582912); // 1.5·2^23: rounds to even, integer in the low bits
  const log2e = f32x4.splat(1.4426950408889634);
  const high = f32x4.splat(0.693359375), low = f32x4.splat(-2.12194440e-4); // ln 2 in two parts
  const p0 = f32x4.splat(1.9875691500e-4), p1 = f32x4.splat(1.3981999507e-3);
  const p2 = f32x4.splat(8.3334519073e-3), p3 = f32x4.splat(4.1665795894e-2);
  const p4 = f32x4.splat(1.6666665459e-1), p5 = f32x4.splat(5.0000001201e-1);
  const one = f32x4.splat(1), bias = i32x4.splat(0x4B400000 - 127); // magic's bits − exponent bias
  // Two vectors a round: the chain of one is 65 cycles long, and what does not fit
  // into registers is reloaded once for both.
  for (let j: usize = 0; j < bytes; j += 32) {
    let v = f32x4.add(f32x4.mul(v128.load(x + j), factor), shift), w = v;
    const two = j + 16 < bytes;
    if (two) w = f32x4.add(f32x4.mul(v128.load(x + j, 16), factor), shift);
    v = f32x4.pmin(highest, f32x4.pmax(lowest, v)); w = f32x4.pmin(highest, f32x4.pmax(lowest, w));
    const t = f32x4.add(f32x4.mul(v, log2e), magic), u = f32x4.add(f32x4.mul(w, log2e), magic);
    const n = f32x4.sub(t, magic), m = f32x4.sub(u, magic);
    const r = f32x4.sub(f32x4.sub(v, f32x4.mul(n, high)), f32x4.mul(n, low));
    const s = f32x4.sub(f32x4.sub(w, f32x4.mul(m, high)), f32x4.mul(m, low));
    let p = horner(p0, r, p1), q = horner(p0, s, p1);
    p = horner(p, r, p2); q = horner(q, s, p2);
    p = horner(p, r, p3); q = horner(q, s, p3);
    p = horner(p, r, p4); q = horner(q, s, p4);
    p = horner(p, r, p5); q = horner(q, s, p5);
    p = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), one);
    q = f32x4.add(f32x4.add(f32x4.mul(q, f32x4.mul(s, s)), s), one);
    v128.store(to + j, f32x4.mul(p, i32x4.shl(i32x4.sub(t, bias), 23)));
    if (two) v128.store(to + j, f32x4.mul(q, i32x4.shl(i32x4.sub(u, bias), 23)), 16);
  }
}
