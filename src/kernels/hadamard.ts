/**
 * The online Hadamard transform, in float and into codes.
 * @module
 */
import { hadamardMatrix } from "../tensor/hadamard.ts";
import { rotation } from "../tensor/rotation.ts";
import { casesOver, loadRow, packRows, type RowShape } from "./codes.ts";
import { type Arena, type Contract, contract } from "./contract.ts";
import { packHadamard, rowScratchBytes } from "./layout.ts";
import type { Views } from "./views.ts";

const f = Math.fround;

/**
 * h = (N ⊗ M ⊗ S)·diag(signs)·x unnormalised, k = outer·order·2^p with 2^p ≥ 4; in place,
 * y = h·scale.
 * @param signs f32 [k] of ±1, or 0 for none
 * @param matrix `packHadamard(M, order)`, that of N behind it; not read for order 1
 * @param outer order of N; 1 where order is
 * @param scratch 16-byte aligned, rowScratchBytes(k), one per thread
 */
export type HadamardF32 = (
  x: number,
  ldx: number,
  signs: number,
  matrix: number,
  order: number,
  outer: number,
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

/** Unnormalised (N ⊗ M ⊗ S)·diag(signs)·x of one row. */
export function rotate(
  v: Views,
  row: Float32Array,
  signs: number,
  matrix: number,
  order: number,
  outer: number,
): Float32Array {
  const k = row.length, block = k / outer, width = block / order;
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
  for (let from = 0; from < k; from += block) {
    const part = row.subarray(from, from + block);
    out.set(dense(v, part, matrix, order), from);
  }
  return outer === 1 ? out : dense(v, out, matrix + order * order * 4, outer);
}

/** y[a, b] = Σ_c M[a, c]·x[c, b], x seen as `order` rows. */
function dense(
  v: Views,
  x: Float32Array,
  matrix: number,
  order: number,
): Float32Array {
  const width = x.length / order, out = new Float32Array(x.length);
  for (let a = 0; a < order; a++) {
    for (let b = 0; b < width; b++) {
      let sum = 0;
      for (let c = 0; c < order; c++) {
        const minus =
          v.i32[(matrix >> 2) + ((a >> 2) * order + c) * 4 + (a & 3)];
        const term = minus ? -x[c * width + b] : x[c * width + b];
        sum = c === 0 ? term : f(sum + term);
      }
      out[a * width + b] = sum;
    }
  }
  return out;
}

/** Edges and real shapes of the transform. */
export const rotations: RowShape[] = [
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
  { rows: 3, k: 1344, group: 4, why: "12·28·4" },
  { rows: 4, k: 2048, group: 4, why: "2^11" },
  { rows: 5, k: 3072, group: 4, why: "12·256, SmolVLM-256M vision down" },
  { rows: 2, k: 8960, group: 4, why: "20·28·16, Qwen2-VL-2B text down" },
];

/** Signs and matrices of the transform of length k, placed. */
export function placeRotation(
  arena: Arena,
  k: number,
): [signs: number, matrix: number, order: number, outer: number] {
  const { order, outer = 1 } = rotation(k, 0);
  const signs = arena.place(
    Float32Array.from(
      { length: k },
      (_, i) => Math.imul(i, 0x9e3779b1) & 64 ? 1 : -1,
    ),
  );
  const matrices = [order, outer].flatMap((n) => [
    ...packHadamard(hadamardMatrix(n), n),
  ]);
  return [signs, arena.place(Int32Array.from(matrices)), order, outer];
}

/** The transform in float, in place. */
export const hadamard_f32: Contract<HadamardF32> = contract({
  meaning: "x ← scale·(N ⊗ M ⊗ S)·diag(signs)·x, unnormalised",
  reference:
    (v) => (x, ldx, signs, matrix, order, outer, scale, k, row0, row1) => {
      for (let r = row0; r < row1; r++) {
        const h = rotate(
          v,
          loadRow(v, x, ldx, r, k),
          signs,
          matrix,
          order,
          outer,
        );
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
    "a = rne(inv·(N ⊗ M ⊗ S)·diag(signs)·x), channel 0 to `outlier`, sums = Σₖ a",
  reference: (v) =>
  (
    x,
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
  ) =>
    packRows(
      v,
      (r) => rotate(v, loadRow(v, x, ldx, r, k), signs, matrix, order, outer),
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
