// act(g)·u of rows: in float, into codes, or through the Hadamard transform into codes.
//
//   g row ─act─┐
//   u row ─────·─▶ scratch row (L1) ─[·signs ─ rotate]─▶ rne(·inv) ─▶ codes, row sum
//
//   silu        x / (1 + e^(−x))
//   gelu_tanh   x / (1 + e^(−2√(2/π)·(x + 0.044715·x³)))
//   gelu        x·Φ(x), Φ from e^(−x²/2)
//   quick_gelu  x / (1 + e^(−1.702·x))
//   relu6       min(max(x, 0), 6)
import { padRows, rowOf, storeRotated, storeRow } from "./codes";
import { OVER, OVER_CUBE, powerRow, SQUARE } from "./exp";
import { rotate } from "./rotate";
import { word } from "./vector";

@inline function horner(p: v128, t: v128, c: v128): v128 {
  return f32x4.add(f32x4.mul(p, t), c);
}

/** y ← x·Φ(x) where y = e^(−x²/2): Φ by Abramowitz & Stegun 7.1.26. */
function erfFinish(x: usize, y: usize, bytes: usize): void {
  const halfRoot = f32x4.splat(0.7071067811865476), slope = f32x4.splat(0.3275911);
  const e0 = f32x4.splat(1.061405429), e1 = f32x4.splat(-1.453152027), e2 = f32x4.splat(1.421413741);
  const e3 = f32x4.splat(-0.284496736), e4 = f32x4.splat(0.254829592);
  const one = f32x4.splat(1), half = f32x4.splat(0.5), zero = f32x4.splat(0);
  for (let j: usize = 0; j < bytes; j += 16) {
    const v = v128.load(x + j), z = f32x4.abs(f32x4.mul(v, halfRoot));
    const t = f32x4.div(one, f32x4.add(one, f32x4.mul(z, slope)));
    let p = horner(e0, t, e1);
    p = horner(p, t, e2);
    p = horner(p, t, e3);
    p = horner(p, t, e4);
    const tail = f32x4.mul(f32x4.mul(f32x4.mul(p, t), v128.load(y + j)), half); // Φ(−|x|)
    const phi = v128.bitselect(tail, f32x4.sub(one, tail), f32x4.lt(v, zero));
    v128.store(y + j, f32x4.mul(v, phi));
  }
}

/** y ← min(max(x, 0), 6). */
function clampRow(x: usize, y: usize, bytes: usize): void {
  const zero = f32x4.splat(0), six = f32x4.splat(6);
  for (let j: usize = 0; j < bytes; j += 16) {
    v128.store(y + j, f32x4.pmin(six, f32x4.pmax(zero, v128.load(x + j))));
  }
}

/** y ← act(g)·u for one row; y is neither g nor u. */
function activateRow(act: i32, g: usize, u: usize, y: usize, k: i32): void {
  const bytes = <usize>k << 2;
  if (act == 0) powerRow(OVER, g, y, bytes, 0, -1.4426950408889634);
  else if (act == 1) powerRow(OVER_CUBE, g, y, bytes, 0, -2.302208198144325);
  else if (act == 3) powerRow(OVER, g, y, bytes, 0, -2.455466959593016);
  else if (act == 4) clampRow(g, y, bytes);
  else {
    powerRow(SQUARE, g, y, bytes, 0, -0.7213475204444817);
    erfFinish(g, y, bytes);
  }
  if (u) {
    for (let j: usize = 0; j < bytes; j += 16) {
      v128.store(y + j, f32x4.mul(v128.load(y + j), v128.load(u + j)));
    }
  }
}

export function activation_f32__simd(
  act: i32, g: usize, u: usize, ldx: i32, y: usize, ldy: i32, k: i32, row0: i32, row1: i32,
): void {
  for (let r = row0; r < row1; r++) {
    const at = <usize>r * <usize>ldx << 2;
    activateRow(act, g + at, u ? u + at : 0, y + (<usize>r * <usize>ldy << 2), k);
  }
}

export function activation_f32_s8__simd(
  act: i32, g: usize, u: usize, ldx: i32, inv: f32, a: usize, sums: usize,
  k: i32, row0: i32, row1: i32, group: i32, scratch: usize,
): void {
  for (let r = row0; r < row1; r++) {
    const at = <usize>r * <usize>ldx << 2;
    activateRow(act, g + at, u ? u + at : 0, scratch, k);
    storeRow(scratch, inv, rowOf(a, r, k, group), word(sums, r), k, group);
  }
  padRows(a, sums, k, row1, group);
}

export function activation_hadamard_f32_s8__simd(
  act: i32, g: usize, u: usize, ldx: i32, signs: usize, matrix: usize, order: i32, outer: i32,
  inv: f32, outlier: usize, a: usize, sums: usize,
  k: i32, row0: i32, row1: i32, group: i32, scratch: usize,
): void {
  for (let r = row0; r < row1; r++) {
    const at = <usize>r * <usize>ldx << 2;
    activateRow(act, g + at, u ? u + at : 0, scratch, k);
    storeRotated(rotate(scratch, signs, scratch, matrix, order, outer, k), inv, outlier, a, sums, k, r, group);
  }
  padRows(a, sums, k, row1, group);
}
