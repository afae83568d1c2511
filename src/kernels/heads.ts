/**
 * Heads as int8 on one static scale each: rotary embedding, query rows, and the
 * K/V cache.
 * @module
 */
import { type Contract, contract } from "./contract.ts";
import { cacheBytes, keyOffset, valueOffset } from "./layout.ts";
import { rne8, type Views } from "./views.ts";

const f = Math.fround;

/**
 * f32 heads → rotate-half RoPE → int8 query rows `[row][heads·headDim]`.
 * @param x f32 [row][heads·headDim], row stride `ldx`
 * @param positions int32 per row; not read where `cos` is 0
 * @param cos f32 [maxPosition][headDim/2], or 0 for no rotation (vision tower)
 * @param sin like cos
 * @param inv f32 [heads]: 1 / scale of each head
 * @param out int8 [row][heads·headDim]
 * @param headDim a multiple of 8
 */
export type QueriesF32S8 = (
  x: number,
  ldx: number,
  positions: number,
  cos: number,
  sin: number,
  inv: number,
  out: number,
  row0: number,
  row1: number,
  heads: number,
  headDim: number,
) => void;

/** The same into the K cache: row r becomes key `slot` + r of every head. */
export type KeysF32S8 = (
  x: number,
  ldx: number,
  positions: number,
  cos: number,
  sin: number,
  inv: number,
  cache: number,
  capacity: number,
  slot: number,
  row0: number,
  row1: number,
  heads: number,
  headDim: number,
) => void;

/** f32 values → int8 in the V cache: row r becomes value `slot` + r of every head. */
export type ValuesF32S8 = (
  x: number,
  ldx: number,
  inv: number,
  cache: number,
  capacity: number,
  slot: number,
  row0: number,
  row1: number,
  heads: number,
  headDim: number,
) => void;

/** One rotated and scaled element of a head. */
function rotated(
  v: Views,
  x: number, // f32 index of the head's element 0
  d: number,
  headDim: number,
  table: number, // f32 offset of the position's row in cos/sin
  cos: number,
  sin: number,
): number {
  if (!cos) return v.f32[x + d];
  const half = headDim >> 1, i = d % half;
  const c = v.f32[(cos >> 2) + table + i], s = v.f32[(sin >> 2) + table + i];
  const low = v.f32[x + i], high = v.f32[x + half + i];
  return d < half ? f(f(low * c) - f(high * s)) : f(f(high * c) + f(low * s));
}

function eachHead(
  v: Views,
  x: number,
  ldx: number,
  positions: number,
  cos: number,
  sin: number,
  inv: number,
  row0: number,
  row1: number,
  heads: number,
  headDim: number,
  write: (row: number, head: number, d: number, code: number) => void,
): void {
  for (let r = row0; r < row1; r++) {
    const table = cos ? v.i32[(positions >> 2) + r] * (headDim >> 1) : 0;
    for (let h = 0; h < heads; h++) {
      const at = (x >> 2) + r * ldx + h * headDim,
        scale = v.f32[(inv >> 2) + h];
      for (let d = 0; d < headDim; d++) {
        const value = rotated(v, at, d, headDim, table, cos, sin);
        write(r, h, d, rne8(f(value * scale)));
      }
    }
  }
}

const headCases: [
  rows: number,
  heads: number,
  headDim: number,
  rotate: boolean,
][] = [
  [1, 1, 8, false],
  [3, 2, 16, true],
  [7, 5, 64, false],
  [5, 6, 64, true],
  [4, 3, 72, true],
  [1, 9, 80, true],
];

/** Queries. */
export const queries_f32_s8: Contract<QueriesF32S8> = contract({
  meaning: "out[row][h·d] = rne(rope(x)·inv[h])",
  reference:
    (v) =>
    (x, ldx, positions, cos, sin, inv, out, row0, row1, heads, headDim) =>
      eachHead(
        v,
        x,
        ldx,
        positions,
        cos,
        sin,
        inv,
        row0,
        row1,
        heads,
        headDim,
        (r, h, d, code) => v.i8[out + (r * heads + h) * headDim + d] = code,
      ),
  cases: headCases.map(([rows, heads, headDim, rotate]) => ({
    name: `${rows} rows, ${heads} heads of ${headDim}${
      rotate ? ", rotated" : ""
    }`,
    build(arena) {
      const wide = heads * headDim, table = 32 * headDim / 2;
      return [
        arena.floats(rows * (wide + 4), 3),
        wide + 4,
        arena.ints(rows, (i) => (i * 5 + 3) % 32),
        rotate ? arena.floats(table) : 0,
        rotate ? arena.floats(table) : 0,
        arena.floats(heads, 60),
        arena.codes(rows * wide),
        rows > 4 ? 2 : 0,
        rows,
        heads,
        headDim,
      ];
    },
  })),
});

/** Keys. */
export const keys_f32_s8: Contract<KeysF32S8> = contract({
  meaning: "K cache[h][slot + row] = rne(rope(x)·inv[h])",
  reference: (v) =>
  (
    x,
    ldx,
    positions,
    cos,
    sin,
    inv,
    cache,
    capacity,
    slot,
    row0,
    row1,
    heads,
    headDim,
  ) =>
    eachHead(
      v,
      x,
      ldx,
      positions,
      cos,
      sin,
      inv,
      row0,
      row1,
      heads,
      headDim,
      (r, h, d, code) =>
        v.i8[
          cache + h * capacity * headDim + keyOffset(slot + r, d, headDim)
        ] = code,
    ),
  cases: headCases.map(([rows, heads, headDim, rotate]) => ({
    name: `${rows} rows, ${heads} heads of ${headDim}${
      rotate ? ", rotated" : ""
    }`,
    build(arena) {
      const wide = heads * headDim, table = 32 * headDim / 2;
      return [
        arena.floats(rows * wide, 3),
        wide,
        arena.ints(rows, (i) => (i * 5 + 3) % 32),
        rotate ? arena.floats(table) : 0,
        rotate ? arena.floats(table) : 0,
        arena.floats(heads, 60),
        arena.codes(cacheBytes(heads, 24, headDim)),
        24,
        6,
        0,
        rows,
        heads,
        headDim,
      ];
    },
  })),
});

/** Values. */
export const values_f32_s8: Contract<ValuesF32S8> = contract({
  meaning: "V cache[h][slot + row] = rne(x·inv[h])",
  reference:
    (v) => (x, ldx, inv, cache, capacity, slot, row0, row1, heads, headDim) =>
      eachHead(
        v,
        x,
        ldx,
        0,
        0,
        0,
        inv,
        row0,
        row1,
        heads,
        headDim,
        (r, h, d, code) =>
          v.i8[
            cache + h * capacity * headDim + valueOffset(slot + r, d, capacity)
          ] = code,
      ),
  cases: headCases.map(([rows, heads, headDim]) => ({
    name: `${rows} rows, ${heads} heads of ${headDim}`,
    build: (arena) => [
      arena.floats(rows * heads * headDim, 3),
      heads * headDim,
      arena.floats(heads, 60),
      arena.codes(cacheBytes(heads, 24, headDim)),
      24,
      7,
      0,
      rows,
      heads,
      headDim,
    ],
  })),
});
