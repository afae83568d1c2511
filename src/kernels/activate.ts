/**
 * Activations act(g)·u: in float, into codes, or through the Hadamard transform
 * into codes.
 * @module
 */
import { casesOver, loadRow, packRows, rowShapes } from "./codes.ts";
import { type Contract, contract } from "./contract.ts";
import { placeRotation, rotate, rotations } from "./hadamard.ts";
import { rowScratchBytes } from "./layout.ts";
import { exp2_32, type Views } from "./views.ts";

const f = Math.fround;

/** Elementwise functions of `activate_*`; the number is the `act` argument. */
export const ACTIVATIONS = {
  /** x / (1 + e^−x) */
  silu: 0,
  /** x · σ(2√(2/π)(x + 0.044715x³)), that is the tanh form of GELU */
  gelu_tanh: 1,
  /** x · Φ(x), erf by Abramowitz & Stegun 7.1.26 (|error| < 2e-7) */
  gelu: 2,
  /** x · σ(1.702x) */
  quick_gelu: 3,
} as const;

/** One of {@link ACTIVATIONS}. */
export type Activation = keyof typeof ACTIVATIONS;

/** y = act(g)·u in f32; `u` is 0 where there is no gate. `act` as in ACTIVATIONS. */
export type ActivateF32 = (
  act: number,
  g: number,
  u: number,
  ldx: number,
  y: number,
  ldy: number,
  k: number,
  row0: number,
  row1: number,
) => void;

/** act(g)·u, then codes. g and u share the row stride `ldx`. */
export type ActivateF32S8 = (
  act: number,
  g: number,
  u: number,
  ldx: number,
  inv: number,
  a: number,
  sums: number,
  k: number,
  row0: number,
  row1: number,
  group: number,
  scratch: number,
) => void;

/** act(g)·u, then the Hadamard transform, then codes (with the outlier split). */
export type ActivateHadamardF32S8 = (
  act: number,
  g: number,
  u: number,
  ldx: number,
  signs: number,
  matrix: number,
  order: number,
  outer: number,
  inv: number,
  outlier: number,
  a: number,
  sums: number,
  k: number,
  row0: number,
  row1: number,
  group: number,
  scratch: number,
) => void;

const halfRoot = f(0.7071067811865476);
const exponents = {
  silu: f(-1.4426950408889634), //       −log2 e
  gelu_tanh: f(-2.302208198144325), //   −2√(2/π)·log2 e
  gelu: f(-0.7213475204444817), //       −½·log2 e
  quick_gelu: f(-2.455466959593016), //  −1.702·log2 e
};
const erf = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592]
  .map(f);

/** x / (1 + 2^z), the shape all but the erf form share. */
function over(x: number, z: number): number {
  return f(x / f(1 + exp2_32(z)));
}

/** One activation, operation by operation as the kernels do it. */
export function activate(act: number, x: number): number {
  if (act === ACTIVATIONS.silu) return over(x, f(x * exponents.silu));
  if (act === ACTIVATIONS.quick_gelu) {
    return over(x, f(x * exponents.quick_gelu));
  }
  if (act === ACTIVATIONS.gelu_tanh) {
    const cube = f(f(x * x) * x);
    return over(x, f(f(f(cube * f(0.044715)) + x) * exponents.gelu_tanh));
  }
  const z = Math.abs(f(x * halfRoot));
  const t = f(1 / f(1 + f(z * f(0.3275911))));
  let p = erf[0];
  for (let i = 1; i < 5; i++) p = f(f(p * t) + erf[i]);
  const e = exp2_32(f(f(x * x) * exponents.gelu));
  const tail = f(f(f(p * t) * e) * 0.5); // Φ(−|x|)
  return f(x * (x < 0 ? tail : f(1 - tail)));
}

function activateRow(
  v: Views,
  act: number,
  g: number,
  u: number,
  ldx: number,
  k: number,
) {
  return (r: number) => {
    const row = loadRow(v, g, ldx, r, k),
      gate = u ? loadRow(v, u, ldx, r, k) : row;
    return row.map((x, j) => {
      const y = activate(act, x);
      return u ? f(y * gate[j]) : y;
    });
  };
}

/** Activation in float. */
export const activate_f32: Contract<ActivateF32> = contract({
  meaning: "y = act(g)·u",
  reference: (v) => (act, g, u, ldx, y, ldy, k, row0, row1) => {
    const rowOf = activateRow(v, act, g, u, ldx, k);
    for (let r = row0; r < row1; r++) v.f32.set(rowOf(r), (y >> 2) + r * ldy);
  },
  cases: Object.values(ACTIVATIONS).flatMap((act) =>
    casesOver(rowShapes, (arena, s) => [
      act,
      arena.floats(s.rows * s.ldx, 12),
      s.rows > 1 ? arena.floats(s.rows * s.ldx, 3) : 0,
      s.ldx,
      arena.floats(s.rows * s.k),
      s.k,
      s.k,
      0,
      s.rows,
    ])
  ),
});

/** Activation, then codes. */
export const activate_f32_s8: Contract<ActivateF32S8> = contract({
  meaning: "a = rne(act(g)·u·inv), sums = Σₖ a",
  reference: (v) => (act, g, u, ldx, inv, a, sums, k, row0, row1, group) =>
    packRows(
      v,
      activateRow(v, act, g, u, ldx, k),
      f(inv),
      a,
      sums,
      k,
      row0,
      row1,
      group,
    ),
  cases: Object.values(ACTIVATIONS).flatMap((act) =>
    casesOver(rowShapes, (arena, s, out) => [
      act,
      arena.floats(s.rows * s.ldx, 12),
      s.rows > 1 ? arena.floats(s.rows * s.ldx, 3) : 0,
      s.ldx,
      20,
      ...out(),
      s.k,
      0,
      s.rows,
      s.group,
      arena.scratch(rowScratchBytes(s.k)),
    ])
  ),
});

/** Activation, the transform, then codes: what stands before a down projection. */
export const activate_hadamard_f32_s8: Contract<ActivateHadamardF32S8> =
  contract({
    meaning:
      "a = rne(inv·(N ⊗ M ⊗ S)·diag(signs)·(act(g)·u)), channel 0 to `outlier`, sums = Σₖ a",
    reference: (v) =>
    (
      act,
      g,
      u,
      ldx,
      signs,
      matrix,
      order,
      outer,
      inv,
      outlier,
      a,
      sums,
      k,
      row0,
      row1,
      group,
    ) => {
      const rowOf = activateRow(v, act, g, u, ldx, k);
      packRows(
        v,
        (r) => rotate(v, rowOf(r), signs, matrix, order, outer),
        f(inv),
        a,
        sums,
        k,
        row0,
        row1,
        group,
        outlier,
      );
    },
    cases: Object.values(ACTIVATIONS).flatMap((act) =>
      casesOver(rotations, (arena, s, out) => [
        act,
        arena.floats(s.rows * s.ldx, 6),
        act === 0 ? arena.floats(s.rows * s.ldx, 3) : 0,
        s.ldx,
        ...placeRotation(arena, s.k),
        30 / Math.sqrt(s.k),
        act % 2 ? arena.floats(s.rows) : 0,
        ...out(),
        s.k,
        0,
        s.rows,
        s.group,
        arena.scratch(rowScratchBytes(s.k)),
      ])
    ),
  });
