/**
 * Integer matrix products whose weights of 4 bits have an integer scale for each
 * group of columns: `gemm.ts` with w[n,k] = code · scale of its group.
 * @module
 */
import { type Arena, type Contract, contract } from "./contract.ts";
import { casesOver, column, operands, product, type Shape } from "./gemm.ts";
import {
  gemmScratchBytes,
  gemvScratchBytes,
  groupedPanelBytes,
  packGroups,
  scaleBytes,
} from "./layout.ts";
import type { Views } from "./views.ts";

/**
 * `Gemm` with weights of 4 bits in groups (W4G): w[n,k] = code · scale of its group.
 * @param k a multiple of group
 * @param group columns of a group, a multiple of 32
 * @param scratch 16-byte aligned, gemmScratchBytes(k, true), one per thread
 */
export type GroupedGemm = (
  a: number,
  sums: number,
  w: number,
  alpha: number,
  bias: number,
  y: number,
  rows: number,
  k: number,
  group: number,
  ldy: number,
  n0: number,
  n1: number,
  scratch: number,
  accumulate: number,
) => void;

/** The same for one row in A1; scratch has gemvScratchBytes(k). */
export type GroupedGemv = (
  a: number,
  sums: number,
  w: number,
  alpha: number,
  bias: number,
  y: number,
  k: number,
  group: number,
  n0: number,
  n1: number,
  scratch: number,
  accumulate: number,
) => void;

/** Codes of column n, each times the scale of its group. */
function groupedColumn(
  v: Views,
  w: number,
  n: number,
  k: number,
  group: number,
): Int32Array {
  const panel = w + (n >> 3) * groupedPanelBytes(k, group);
  const scales = panel + (n & 7), codes = panel + scaleBytes(k, group);
  return column(v, 4, codes, n & 7, k).map((code, j) =>
    code * v.u8[scales + 8 * Math.floor(j / group)]
  );
}

/** A shape whose weights are in groups of so many columns. */
interface GroupedShape extends Shape {
  group: number;
}

const groupedShapes: readonly GroupedShape[] = [
  { m: 1, k: 32, n: 8, group: 32, why: "one of everything" },
  { m: 3, k: 96, n: 9, group: 32, why: "three groups, n over a panel" },
  { m: 9, k: 192, n: 24, group: 96, why: "groups that are no power of two" },
  { m: 6, k: 1056, n: 16, group: 96, why: "a group across two passes" },
  {
    m: 1,
    k: 128,
    n: 48,
    group: 64,
    why: "5 panels in stretches of 2, 2, 1, 0",
  },
  { m: 37, k: 64, n: 8, group: 64, why: "one group, two blocks of rows" },
  { m: 2, k: 4096, n: 8, group: 128, why: "four passes" },
  { m: 53, k: 384, n: 1024, group: 64, why: "flickr-mini text up" },
];

/** Operands whose scales take each of 1 to 15. */
function grouped(arena: Arena, shape: GroupedShape, group: 1 | 4) {
  const { n, k } = shape;
  const scales = Uint8Array.from(
    { length: n * k / shape.group },
    (_, i) => 1 + i * 7 % 15,
  );
  return operands(
    arena,
    4,
    shape,
    group,
    (codes) => packGroups(codes as Uint8Array, scales, n, k, shape.group),
  );
}

/** A product of several rows (prefill, vision). */
export const gemm_w4ga8: Contract<GroupedGemm> = contract({
  meaning:
    "gemm, w 4 bits in groups of columns, times the integer scale of each",
  reference: (v) =>
  (
    a,
    _sums,
    w,
    alpha,
    bias,
    y,
    rows,
    k,
    group,
    ldy,
    n0,
    n1,
    _scratch,
    accumulate,
  ) =>
    product(
      v,
      (n) => groupedColumn(v, w, n, k, group),
      4,
      [a, alpha, bias, y],
      rows,
      k,
      ldy,
      [n0, n1],
      accumulate,
    ),
  cases: casesOver(groupedShapes, "several", (arena, shape, accumulate) => {
    const { pointers, kp, n8, n0 } = grouped(arena, shape, 4);
    const { m, group } = shape, ldy = n8 + 8, y = arena.floats(m * ldy);
    const scratch = arena.scratch(gemmScratchBytes(kp, true));
    return [...pointers, y, m, kp, group, ldy, n0, n8, scratch, accumulate];
  }),
});

/** A product of one row (decode). */
export const gemv_w4ga8: Contract<GroupedGemv> = contract({
  meaning: "the same for one row (A1)",
  reference: (v) =>
  (
    a,
    _sums,
    w,
    alpha,
    bias,
    y,
    k,
    group,
    n0,
    n1,
    _scratch,
    accumulate,
  ) =>
    product(
      v,
      (n) => groupedColumn(v, w, n, k, group),
      1,
      [a, alpha, bias, y],
      1,
      k,
      0,
      [n0, n1],
      accumulate,
    ),
  cases: casesOver(groupedShapes, "one", (arena, shape, accumulate) => {
    const { pointers, kp, n8, n0 } = grouped(arena, shape, 1);
    const y = arena.floats(n8), scratch = arena.scratch(gemvScratchBytes(kp));
    return [...pointers, y, kp, shape.group, n0, n8, scratch, accumulate];
  }),
});
