/**
 * Kernels of a causal convolution along a sequence: what enters is kept by its
 * place, what comes out is summed from there.
 * @module
 */
import { type Contract, contract } from "./contract.ts";

const f = Math.fround;

/**
 * cache[places[r]] = x[r] ⊙ gate[r], or x[r], over rows [row0, row1).
 * @param x f32 [row][k], row stride `ldx`
 * @param gate f32 [row][k], row stride `ldg`, or 0
 * @param places int32 [row], from 0
 * @param cache f32 [place][k], densely
 * @param k a multiple of 4
 */
export type PlaceF32 = (
  x: number,
  ldx: number,
  gate: number,
  ldg: number,
  places: number,
  cache: number,
  k: number,
  row0: number,
  row1: number,
) => void;

/**
 * y[r] = (bias + Σ_t w[t] ⊙ cache[places[r] + t]) ⊙ gate[r] over rows [row0, row1),
 * summed in the order of t: with taps − 1 rows in front of the first place,
 * w[taps − 1] meets what entered at the row's own.
 * @param cache f32 [taps − 1 + places][k]
 * @param places int32 [row]
 * @param w f32 [taps][k]
 * @param bias f32 [k], or 0
 * @param gate f32 [row][k], row stride `ldg`, or 0
 * @param y f32 [row][k], row stride `ldy`
 * @param k a multiple of 4
 */
export type ConvolveF32 = (
  cache: number,
  places: number,
  taps: number,
  w: number,
  bias: number,
  gate: number,
  ldg: number,
  y: number,
  ldy: number,
  k: number,
  row0: number,
  row1: number,
) => void;

const shapes = [
  { rows: 1, k: 4, taps: 1, gated: false, why: "the smallest" },
  { rows: 5, k: 48, taps: 3, gated: true, why: "a toy" },
  { rows: 7, k: 20, taps: 4, gated: false, why: "an even number of taps" },
  { rows: 1, k: 1024, taps: 3, gated: true, why: "LFM2-350M decode" },
];

/** Rows to their places. */
export const place_f32: Contract<PlaceF32> = contract({
  meaning: "cache[places] = x ⊙ gate",
  reference: (m) => (x, ldx, gate, ldg, places, cache, k, row0, row1) => {
    for (let r = row0; r < row1; r++) {
      const to = (cache >> 2) + m.i32[(places >> 2) + r] * k;
      for (let i = 0; i < k; i++) {
        const v = m.f32[(x >> 2) + r * ldx + i];
        m.f32[to + i] = gate ? v * m.f32[(gate >> 2) + r * ldg + i] : v;
      }
    }
  },
  cases: shapes.map(({ rows, k, gated, why }) => ({
    name: `${rows} × ${k}${gated ? ", gated" : ""} (${why})`,
    build: (arena) => [
      arena.floats(rows * (k + 4)),
      k + 4,
      gated ? arena.floats(rows * (k + 8)) : 0,
      k + 8,
      arena.ints(rows, (i) => (i * 3 + 1) % (rows + 2)),
      arena.floats((rows + 2) * k),
      k,
      rows > 4 ? 1 : 0,
      rows,
    ],
  })),
});

/** The convolution. */
export const convolve_f32: Contract<ConvolveF32> = contract({
  meaning: "y = (bias + Σ w ⊙ cache behind each place) ⊙ gate",
  reference:
    (m) => (cache, places, taps, w, bias, gate, ldg, y, ldy, k, row0, row1) => {
      for (let r = row0; r < row1; r++) {
        const from = (cache >> 2) + m.i32[(places >> 2) + r] * k;
        for (let i = 0; i < k; i++) {
          let sum = bias ? m.f32[(bias >> 2) + i] : 0;
          for (let t = 0; t < taps; t++) {
            const product = f(
              m.f32[(w >> 2) + t * k + i] * m.f32[from + t * k + i],
            );
            sum = f(sum + product);
          }
          m.f32[(y >> 2) + r * ldy + i] = gate
            ? sum * m.f32[(gate >> 2) + r * ldg + i]
            : sum;
        }
      }
    },
  cases: shapes.map(({ rows, k, taps, gated, why }) => ({
    name: `${rows} × ${k}, ${taps} taps${
      gated ? ", gated" : ", bias"
    } (${why})`,
    build: (arena) => [
      arena.floats((rows + 2 + taps) * k),
      arena.ints(rows, (i) => (i * 3 + 1) % (rows + 2)),
      taps,
      arena.floats(taps * k),
      gated ? 0 : arena.floats(k),
      gated ? arena.floats(rows * (k + 8)) : 0,
      k + 8,
      arena.floats(rows * (k + 4)),
      k + 4,
      k,
      rows > 4 ? 1 : 0,
      rows,
    ],
  })),
});
