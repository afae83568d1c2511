/**
 * Float matrix product, for calibration and for layers left in float.
 * @module
 */
import { type Contract, contract } from "./contract.ts";
import { packFloats, roundUp } from "./layout.ts";

const f = Math.fround;

/**
 * `y[m,n] = bias[n] + Σ_k x[m,k]·w[n,k]`: products and sums rounded to float32 in
 * the order of k, the bias added last.
 * @param x f32, row stride `ldx`
 * @param w F32 panels (layout.ts)
 * @param bias f32 [n]; zeros where there is none
 * @param y f32, row stride `ldy`
 * @param k any positive length
 * @param n0 first column, a multiple of 8
 * @param n1 end of columns, a multiple of 8
 */
export type GemmF32 = (
  x: number,
  w: number,
  bias: number,
  y: number,
  rows: number,
  k: number,
  ldx: number,
  ldy: number,
  n0: number,
  n1: number,
) => void;

/** `y = x·wᵀ + bias` in float32. */
export const gemm_f32: Contract<GemmF32> = contract({
  meaning: "y[m,n] = Σₖ x[m,k]·w[n,k] + bias[n] in float32, in the order of k",
  reference: (v) => (x, w, bias, y, rows, k, ldx, ldy, n0, n1) => {
    for (let m = 0; m < rows; m++) {
      for (let n = n0; n < n1; n++) {
        const panel = (w >> 2) + (n >> 3) * 8 * k + (n & 7);
        let acc = 0;
        for (let j = 0; j < k; j++) {
          acc = f(
            acc + f(v.f32[(x >> 2) + m * ldx + j] * v.f32[panel + j * 8]),
          );
        }
        v.f32[(y >> 2) + m * ldy + n] = acc + v.f32[(bias >> 2) + n];
      }
    }
  },
  cases: [[1, 1, 1], [2, 3, 7], [3, 7, 9], [4, 16, 8], [5, 33, 20], [
    9,
    100,
    33,
  ], [
    53,
    384,
    384,
  ]].map(([m, k, n]) => ({
    name: `${m}×${k}→${n}`,
    build(arena) {
      const w = Float32Array.from(
        { length: n * k },
        (_, i) => Math.sin(i * 12.9898) * 0.5,
      );
      const n8 = roundUp(n, 8), ldx = k + 3, ldy = n8 + 4;
      const x = arena.floats(m * ldx), y = arena.floats(m * ldy);
      return [
        x,
        arena.place(packFloats(w, n, k)),
        arena.floats(n8),
        y,
        m,
        k,
        ldx,
        ldy,
        0,
        n8,
      ];
    },
  })),
});
