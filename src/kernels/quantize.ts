/**
 * Kernels that end in static int8 codes: quantize, RMS norm, Hadamard transform
 * and activations, alone or fused, plus their float forms. No kernel computes a
 * scale: `inv` is the calibrated 1/scale and comes from the model file.
 * @module
 */
import { type Arena, type Case, type Contract, contract } from "./contract.ts";
import { hadamardMatrix, hadamardOrder } from "../tensor/hadamard.ts";
import {
  activationBytes,
  activationOffset,
  type Group,
  packHadamard,
  paddedK,
  roundUp,
  rowScratchBytes,
  rowSumCount,
} from "./layout.ts";
import { exp2_32, rne8, type Views } from "./views.ts";

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

/**
 * Rows of f32 → int8 codes and row sums: q = rne(x·inv) in −128..127.
 * All kernels of this file share these parameters:
 * @param x f32, row stride `ldx` elements
 * @param inv 1 / activation scale
 * @param a codes, A4 (group 4) or A1 (group 1) with padded k; padding is written as 0
 * @param sums int32 per row; a partial last group gets zeros
 * @param k row length, a multiple of 4
 * @param row0 first row, a multiple of `group`
 * @param row1 end of rows; a multiple of `group` unless it is the end of the buffer
 */
export type QuantizeF32S8 = (
  x: number,
  ldx: number,
  inv: number,
  a: number,
  sums: number,
  k: number,
  row0: number,
  row1: number,
  group: number,
) => void;

/** RMS norm without gain (it is folded into the next weights), then codes. */
export type RmsNormF32S8 = (
  x: number,
  ldx: number,
  eps: number,
  inv: number,
  a: number,
  sums: number,
  k: number,
  row0: number,
  row1: number,
  group: number,
) => void;

/** RMS norm to f32; `gain` points to f32 [k] or is 0. x and y may be the same. */
export type RmsNormF32 = (
  x: number,
  ldx: number,
  eps: number,
  gain: number,
  y: number,
  ldy: number,
  k: number,
  row0: number,
  row1: number,
) => void;

/**
 * h = (M ⊗ S)·diag(signs)·x unnormalised, k = order·2^p with 2^p ≥ 4; in place,
 * y = h·scale.
 * @param signs f32 [k] of ±1, or 0 for none
 * @param matrix `packHadamard(M, order)`; not read for order 1
 * @param scratch 16-byte aligned, rowScratchBytes(k), one per thread
 */
export type HadamardF32 = (
  x: number,
  ldx: number,
  signs: number,
  matrix: number,
  order: number,
  scale: number,
  k: number,
  row0: number,
  row1: number,
  scratch: number,
) => void;

/**
 * The same transform, then codes. Rotation Magnitude Suppression: where
 * `outlier` is not 0, h[0] of each row goes to f32 [row] there and its code is 0;
 * `rank1_f32` adds that channel back behind the product.
 */
export type HadamardF32S8 = (
  x: number,
  ldx: number,
  signs: number,
  matrix: number,
  order: number,
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

/** Row `r` of f32 memory, copied. */
function load(v: Views, x: number, ld: number, r: number, k: number) {
  const at = (x >> 2) + r * ld;
  return v.f32.slice(at, at + k);
}

/** Writes codes and sums of rows produced one by one. */
function pack(
  v: Views,
  rowOf: (r: number) => Float32Array,
  inv: number,
  a: number,
  sums: number,
  k: number,
  row0: number,
  row1: number,
  group: number,
  outlier = 0,
): void {
  const kp = paddedK(k), end = roundUp(row1, group);
  for (let r = row0; r < end; r++) {
    const row = r < row1 ? rowOf(r) : new Float32Array(k);
    let sum = 0;
    if (outlier && r < row1) {
      v.f32[(outlier >> 2) + r] = row[0];
      row[0] = 0;
    }
    for (let j = 0; j < kp; j++) {
      const q = j < k ? rne8(f(row[j] * inv)) : 0;
      v.i8[a + activationOffset(r, j, kp, group as Group)] = q;
      sum += q;
    }
    v.i32[(sums >> 2) + r] = sum;
  }
}

/** Sum of squares in the kernels' order: 16 running lanes, then a tree. */
export function sumSquares(x: Float32Array): number {
  const lanes = new Float32Array(16);
  x.forEach((value, j) => lanes[j & 15] += f(value * value));
  const [a, b, c, d] = [0, 1, 2, 3].map((i) =>
    f(f(lanes[i] + lanes[4 + i]) + f(lanes[8 + i] + lanes[12 + i]))
  );
  return f(f(a + b) + f(c + d));
}

function rootMean(row: Float32Array, eps: number): number {
  const mean = f(f(sumSquares(row) / row.length) + f(eps));
  return f(1 / f(Math.sqrt(mean)));
}

/** Unnormalised (M ⊗ S)·diag(signs)·x of one row. */
function rotate(
  v: Views,
  row: Float32Array,
  signs: number,
  matrix: number,
  order: number,
): Float32Array {
  const k = row.length, width = k / order;
  if (signs) { for (let j = 0; j < k; j++) row[j] *= v.f32[(signs >> 2) + j]; }
  for (let h = 1; h < width; h *= 2) {
    for (let i = 0; i < k; i++) {
      if (i & h) continue; // width is a power of two, so blocks never cross
      const p = row[i], q = row[i + h];
      row[i] = p + q;
      row[i + h] = p - q;
    }
  }
  if (order === 1) return row;
  const out = new Float32Array(k);
  for (let a = 0; a < order; a++) {
    for (let b = 0; b < width; b++) {
      let sum = 0;
      for (let c = 0; c < order; c++) {
        const minus =
          v.i32[(matrix >> 2) + ((a >> 2) * order + c) * 4 + (a & 3)];
        const x = minus ? -row[c * width + b] : row[c * width + b];
        sum = c === 0 ? x : f(sum + x);
      }
      out[a * width + b] = sum;
    }
  }
  return out;
}

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
    const row = load(v, g, ldx, r, k), gate = u ? load(v, u, ldx, r, k) : row;
    return row.map((x, j) => {
      const y = activate(act, x);
      return u ? f(y * gate[j]) : y;
    });
  };
}

interface RowShape {
  rows: number;
  k: number;
  group: Group;
  why: string;
}

const rowShapes: RowShape[] = [
  { rows: 1, k: 4, group: 1, why: "shortest" },
  { rows: 1, k: 36, group: 1, why: "padding" },
  { rows: 3, k: 28, group: 4, why: "partial group" },
  { rows: 9, k: 100, group: 4, why: "rows and k uneven" },
  { rows: 8, k: 320, group: 4, why: "flickr-mini vision" },
  { rows: 53, k: 384, group: 4, why: "flickr-mini text" },
  { rows: 1, k: 576, group: 1, why: "SmolVLM-256M decode" },
];

const rotations: RowShape[] = [
  { rows: 1, k: 4, group: 1, why: "one vector" },
  { rows: 2, k: 8, group: 4, why: "two vectors" },
  { rows: 2, k: 16, group: 4, why: "four vectors" },
  { rows: 3, k: 48, group: 4, why: "12·4" },
  { rows: 5, k: 96, group: 4, why: "12·8" },
  { rows: 1, k: 320, group: 1, why: "20·16, flickr-mini vision" },
  { rows: 2, k: 576, group: 4, why: "36·16" },
  { rows: 2, k: 960, group: 4, why: "60·16" },
  { rows: 9, k: 1024, group: 4, why: "2^10, flickr-mini text down" },
  { rows: 6, k: 1280, group: 4, why: "20·64, flickr-mini vision down" },
  { rows: 1, k: 1536, group: 1, why: "12·128, SmolVLM-256M text down" },
  { rows: 4, k: 2048, group: 4, why: "2^11" },
  { rows: 5, k: 3072, group: 4, why: "12·256, SmolVLM-256M vision down" },
];

/** Cases over row shapes; `args` gets the arena, the shape and the buffers of the output. */
function casesOver(
  shapes: RowShape[],
  args: (
    arena: Arena,
    s: RowShape & { ldx: number },
    out: () => [number, number],
  ) => number[],
): Case[] {
  return shapes.map((s) => ({
    name: `${s.rows}×${s.k} A${s.group} (${s.why})`,
    build: (arena) =>
      args(arena, { ...s, ldx: s.k + 4 }, () => [
        arena.codes(activationBytes(s.rows, s.k, s.group)),
        arena.ints(rowSumCount(s.rows), (i) => i),
      ]),
  }));
}

/** Signs and matrix of the transform of length k, placed. */
function placeRotation(arena: Arena, k: number): [number, number, number] {
  const order = hadamardOrder(k)!;
  const signs = arena.place(
    Float32Array.from(
      { length: k },
      (_, i) => Math.imul(i, 0x9e3779b1) & 64 ? 1 : -1,
    ),
  );
  return [
    signs,
    arena.place(packHadamard(hadamardMatrix(order), order)),
    order,
  ];
}

/** q = rne(x·inv). */
export const quantize_f32_s8: Contract<QuantizeF32S8> = contract({
  meaning: "a = rne(x·inv) as A4 or A1, sums = Σₖ a",
  reference: (v) => (x, ldx, inv, a, sums, k, row0, row1, group) =>
    pack(
      v,
      (r) => load(v, x, ldx, r, k),
      f(inv),
      a,
      sums,
      k,
      row0,
      row1,
      group,
    ),
  cases: casesOver(rowShapes, (arena, s, out) => [
    arena.floats(s.rows * s.ldx, 4),
    s.ldx,
    40, // ±160: both ends saturate
    ...out(),
    s.k,
    s.rows > 8 ? 4 : 0,
    s.rows,
    s.group,
  ]),
});

/** q = rne(rmsNorm(x)·inv). */
export const rmsnorm_f32_s8: Contract<RmsNormF32S8> = contract({
  meaning: "a = rne(x·(inv/√(mean x² + eps))) as A4 or A1, sums = Σₖ a",
  reference: (v) => (x, ldx, eps, inv, a, sums, k, row0, row1, group) =>
    pack(
      v,
      (r) => {
        const row = load(v, x, ldx, r, k), s = f(rootMean(row, eps) * f(inv));
        return row.map((y) => f(y * s));
      },
      1,
      a,
      sums,
      k,
      row0,
      row1,
      group,
    ),
  cases: casesOver(rowShapes, (arena, s, out) => [
    arena.floats(s.rows * s.ldx, 4),
    s.ldx,
    1e-6,
    50,
    ...out(),
    s.k,
    s.rows > 8 ? 4 : 0,
    s.rows,
    s.group,
  ]),
});

/** RMS norm in float. */
export const rmsnorm_f32: Contract<RmsNormF32> = contract({
  meaning: "y = x/√(mean x² + eps)·gain",
  reference: (v) => (x, ldx, eps, gain, y, ldy, k, row0, row1) => {
    for (let r = row0; r < row1; r++) {
      const row = load(v, x, ldx, r, k), s = rootMean(row, eps);
      for (let j = 0; j < k; j++) {
        const n = f(row[j] * s);
        v.f32[(y >> 2) + r * ldy + j] = gain ? n * v.f32[(gain >> 2) + j] : n;
      }
    }
  },
  cases: [false, true].flatMap((gain) =>
    casesOver(rowShapes, (arena, s) => [
      arena.floats(s.rows * s.ldx, 4),
      s.ldx,
      1e-5,
      gain ? arena.floats(s.k, 2) : 0,
      arena.floats(s.rows * s.k),
      s.k,
      s.k,
      0,
      s.rows,
    ])
  ),
});

/** The transform in float, in place. */
export const hadamard_f32: Contract<HadamardF32> = contract({
  meaning: "x ← scale·(M ⊗ S)·diag(signs)·x, unnormalised",
  reference: (v) => (x, ldx, signs, matrix, order, scale, k, row0, row1) => {
    for (let r = row0; r < row1; r++) {
      const h = rotate(v, load(v, x, ldx, r, k), signs, matrix, order);
      v.f32.set(h.map((y) => f(y * f(scale))), (x >> 2) + r * ldx);
    }
  },
  cases: casesOver(rotations, (arena, s) => [
    arena.floats(s.rows * s.ldx),
    s.ldx,
    ...placeRotation(arena, s.k),
    1 / Math.sqrt(s.k),
    s.k,
    s.rows > 4 ? 1 : 0,
    s.rows,
    arena.scratch(rowScratchBytes(s.k)),
  ]),
});

/** The transform, then codes. */
export const hadamard_f32_s8: Contract<HadamardF32S8> = contract({
  meaning:
    "a = rne(inv·(M ⊗ S)·diag(signs)·x), channel 0 to `outlier`, sums = Σₖ a",
  reference: (v) =>
  (
    x,
    ldx,
    signs,
    matrix,
    order,
    inv,
    outlier,
    a,
    sums,
    k,
    row0,
    row1,
    group,
  ) =>
    pack(
      v,
      (r) => rotate(v, load(v, x, ldx, r, k), signs, matrix, order),
      f(inv),
      a,
      sums,
      k,
      row0,
      row1,
      group,
      outlier,
    ),
  cases: [false, true].flatMap((split) =>
    casesOver(rotations, (arena, s, out) => [
      arena.floats(s.rows * s.ldx),
      s.ldx,
      ...placeRotation(arena, s.k),
      50 / Math.sqrt(s.k),
      split ? arena.floats(s.rows) : 0,
      ...out(),
      s.k,
      s.rows > 8 ? 4 : 0,
      s.rows,
      s.group,
      arena.scratch(rowScratchBytes(s.k)),
    ])
  ),
});

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
    pack(
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
      "a = rne(inv·(M ⊗ S)·diag(signs)·(act(g)·u)), channel 0 to `outlier`, sums = Σₖ a",
    reference: (v) =>
    (
      act,
      g,
      u,
      ldx,
      signs,
      matrix,
      order,
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
      pack(
        v,
        (r) => rotate(v, rowOf(r), signs, matrix, order),
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
