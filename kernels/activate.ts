// act(g)·u of rows: in float, into codes, or through the Hadamard transform into codes.
//
//   g row ─act─┐
//   u row ─────·─▶ scratch row (L1) ─[·signs ─ rotate]─▶ rne(·inv) ─▶ codes, row sum
import { padRows, rowOf, storeRotated, storeRow } from "./codes";
import { exp4 } from "./exp";
import { loadSigned, rotate } from "./rotate";
import { word } from "./vector";

/** x / (1 + e^z) */
@inline function over(x: v128, z: v128): v128 {
  return f32x4.div(x, f32x4.add(f32x4.splat(1), exp4(z)));
}

@inline function times(x: v128, c: f32): v128 { return f32x4.mul(x, f32x4.splat(c)); }

@inline function horner(p: v128, t: v128, c: f32): v128 {
  return f32x4.add(f32x4.mul(p, t), f32x4.splat(c));
}

@inline function geluTanh(x: v128): v128 {
  const cube = f32x4.mul(f32x4.mul(x, x), x);
  return over(x, times(f32x4.add(x, times(cube, 0.044715)), -1.5957691216057308));
}

/** x·Φ(x), erfc by Abramowitz & Stegun 7.1.26. */
@inline function gelu(x: v128): v128 {
  const one = f32x4.splat(1), z = f32x4.abs(times(x, 0.7071067811865476));
  const t = f32x4.div(one, f32x4.add(one, times(z, 0.3275911)));
  let p = horner(f32x4.splat(1.061405429), t, -1.453152027);
  p = horner(p, t, 1.421413741);
  p = horner(p, t, -0.284496736);
  p = horner(p, t, 0.254829592);
  const e = exp4(f32x4.mul(f32x4.neg(z), z));
  const tail = times(f32x4.mul(f32x4.mul(p, t), e), 0.5); // Φ(−|x|)
  const negative = f32x4.lt(x, f32x4.splat(0));
  return f32x4.mul(x, v128.bitselect(tail, f32x4.sub(one, tail), negative));
}

@inline function act4(act: i32, x: v128): v128 {
  if (act == 0) return over(x, f32x4.neg(x));
  if (act == 1) return geluTanh(x);
  if (act == 2) return gelu(x);
  return over(x, times(x, -1.702));
}

function activateRow(act: i32, g: usize, u: usize, y: usize, k: i32): void {
  const bytes = <usize>k << 2;
  for (let j: usize = 0; j < bytes; j += 16) {
    let v = act4(act, v128.load(g + j));
    if (u) v = f32x4.mul(v, v128.load(u + j));
    v128.store(y + j, v);
  }
}

export function activate_f32__simd(
  act: i32, g: usize, u: usize, ldx: i32, y: usize, ldy: i32, k: i32, row0: i32, row1: i32,
): void {
  for (let r = row0; r < row1; r++) {
    const at = <usize>r * <usize>ldx << 2;
    activateRow(act, g + at, u ? u + at : 0, y + (<usize>r * <usize>ldy << 2), k);
  }
}

export function activate_f32_s8__simd(
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

export function activate_hadamard_f32_s8__simd(
  act: i32, g: usize, u: usize, ldx: i32, signs: usize, matrix: usize, order: i32,
  inv: f32, outlier: usize, a: usize, sums: usize,
  k: i32, row0: i32, row1: i32, group: i32, scratch: usize,
): void {
  for (let r = row0; r < row1; r++) {
    const at = <usize>r * <usize>ldx << 2;
    activateRow(act, g + at, u ? u + at : 0, scratch, k);
    if (signs) loadSigned(scratch, signs, scratch, k);
    storeRotated(rotate(scratch, matrix, order, k), inv, outlier, a, sums, k, r, group);
  }
  padRows(a, sums, k, row1, group);
}
