/**
 * Rows of floats as codes: what every quantizing kernel's reference ends in, and
 * the row shapes that all of their cases share.
 * @module
 */
import type { Arena, Case } from "./contract.ts";
import {
  activationBytes,
  activationOffset,
  type Group,
  paddedK,
  roundUp,
  rowSumCount,
} from "./layout.ts";
import { rne8, type Views } from "./views.ts";

const f = Math.fround;

/** Row `r` of f32 memory, copied. */
export function loadRow(v: Views, x: number, ld: number, r: number, k: number) {
  const at = (x >> 2) + r * ld;
  return v.f32.slice(at, at + k);
}

/** Writes codes and sums of rows produced one by one. */
export function packRows(
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

/** Rows × k of one case. */
export interface RowShape {
  rows: number;
  k: number;
  group: Group;
  why: string;
}

/** Edges and real shapes of kernels over rows. */
export const rowShapes: RowShape[] = [
  { rows: 1, k: 4, group: 1, why: "shortest" },
  { rows: 1, k: 36, group: 1, why: "padding" },
  { rows: 3, k: 28, group: 4, why: "partial group" },
  { rows: 9, k: 100, group: 4, why: "rows and k uneven" },
  { rows: 8, k: 320, group: 4, why: "flickr-mini vision" },
  { rows: 53, k: 384, group: 4, why: "flickr-mini text" },
  { rows: 1, k: 576, group: 1, why: "SmolVLM-256M decode" },
];

/** Cases over row shapes; `args` gets the arena, the shape and the buffers of the output. */
export function casesOver(
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
