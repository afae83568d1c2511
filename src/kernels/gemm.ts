/**
 * Integer matrix products with static scales, weights of 4 to 8 bits times int8
 * activations: one family, one meaning, five packed layouts (layout.ts);
 * gemm_groups.ts has a sixth.
 * @module
 */
import { type Arena, type Case, type Contract, contract } from "./contract.ts";
import {
  activationBytes,
  activationOffset,
  codeBytes,
  gemmScratchBytes,
  packActivations,
  packWeights,
  paddedK,
  roundUp,
  type WeightBits,
  weightOffset,
} from "./layout.ts";
import type { Views } from "./views.ts";

const f = Math.fround;

/**
 * `y[m,n] = fround(fround(f32(acc) · alpha[n]) + bias[n])`, acc = Σ_k a[m,k]·w[n,k]
 * exactly; with `accumulate` = 1 the result is added to what y holds.
 * @param a A4 codes of `rows` rows (the last group may be partial)
 * @param sums int32 row sums of a, as its quantizing kernel wrote them
 * @param w packed weights
 * @param alpha f32 [n]: weight scale · activation scale, 0 for padded columns
 * @param bias f32 [n]; zeros where there is none
 * @param y f32, row stride `ldy` elements; only valid rows are written
 * @param k padded k, a multiple of 32
 * @param n0 first column, a multiple of 8
 * @param n1 end of columns, a multiple of 8
 * @param scratch 16-byte aligned, gemmScratchBytes(k), one per thread
 */
export type Gemm = (
  a: number,
  sums: number,
  w: number,
  alpha: number,
  bias: number,
  y: number,
  rows: number,
  k: number,
  ldy: number,
  n0: number,
  n1: number,
  scratch: number,
  accumulate: number,
) => void;

/** The same for one row in A1; `sums` points to its one row sum. */
export type Gemv = (
  a: number,
  sums: number,
  w: number,
  alpha: number,
  bias: number,
  y: number,
  k: number,
  n0: number,
  n1: number,
  accumulate: number,
) => void;

/** The k signed weights of column n. */
export function column(
  v: Views,
  bits: WeightBits,
  w: number,
  n: number,
  k: number,
): Int32Array {
  const zero = bits === 8 ? 0 : 1 << (bits - 1);
  return Int32Array.from({ length: k }, (_, j) => {
    const at = w + weightOffset(bits, n, j, k);
    if (bits === 8) return v.i8[at];
    if (bits > 4) return v.u8[at] - zero;
    return (n & 4 ? v.u8[at] >> 4 : v.u8[at] & 15) - zero;
  });
}

/** y ← rows · weights for both forms; acc is the exact integer all builds agree on. */
export function product(
  v: Views,
  weightsOf: (n: number) => Int32Array,
  group: 1 | 4,
  [a, alpha, bias, y]: number[],
  rows: number,
  k: number,
  ldy: number,
  [n0, n1]: number[],
  accumulate: number,
): void {
  const codes = Array.from(
    { length: rows },
    (_, m) =>
      Int32Array.from(
        { length: k },
        (_, j) => v.i8[a + activationOffset(m, j, k, group)],
      ),
  );
  for (let n = n0; n < n1; n++) {
    const weights = weightsOf(n);
    for (let m = 0; m < rows; m++) {
      const row = codes[m];
      let acc = 0;
      for (let j = 0; j < k; j++) acc += row[j] * weights[j];
      const scaled = f(f(acc) * v.f32[(alpha >> 2) + n]);
      const out = f(scaled + v.f32[(bias >> 2) + n]);
      const at = (y >> 2) + m * ldy + n;
      v.f32[at] = accumulate ? v.f32[at] + out : out;
    }
  }
}

function gemmReference(bits: WeightBits): (v: Views) => Gemm {
  return (v) =>
  (a, _sums, w, alpha, bias, y, rows, k, ldy, n0, n1, _scratch, accumulate) =>
    product(
      v,
      (n) => column(v, bits, w, n, k),
      4,
      [a, alpha, bias, y],
      rows,
      k,
      ldy,
      [n0, n1],
      accumulate,
    );
}

function gemvReference(bits: WeightBits): (v: Views) => Gemv {
  return (v) => (a, _sums, w, alpha, bias, y, k, n0, n1, accumulate) =>
    product(
      v,
      (n) => column(v, bits, w, n, k),
      1,
      [a, alpha, bias, y],
      1,
      k,
      0,
      [n0, n1],
      accumulate,
    );
}

/** A shape of the product: rows × k → n. */
export interface Shape {
  /** Rows of activations. */
  m: number;
  /** Length of the reduction, before padding. */
  k: number;
  /** Columns, before padding. */
  n: number;
  /** What it tests or whose it is. */
  why: string;
}

/** Edges, then real shapes. */
export const shapes: readonly Shape[] = [
  { m: 1, k: 32, n: 8, why: "one of everything" },
  { m: 2, k: 36, n: 9, why: "k one step over a block, n over a panel" },
  { m: 3, k: 28, n: 7, why: "k one step under a block, n under a panel" },
  { m: 5, k: 64, n: 24, why: "partial second group" },
  { m: 9, k: 96, n: 16, why: "partial third group" },
  { m: 4, k: 2048, n: 8, why: "longest k in one pass" },
  { m: 6, k: 2080, n: 16, why: "k one block over one pass" },
  { m: 2, k: 4128, n: 8, why: "three passes" },
  { m: 23, k: 96, n: 16, why: "a block of 5 groups, then one of 3 rows" },
  { m: 37, k: 64, n: 8, why: "two blocks, the last group lends one row" },
  { m: 29, k: 16384, n: 8, why: "rows in two passes of the cache" },
  { m: 1, k: 64, n: 48, why: "5 panels in stretches of 2, 2, 1, 0" },
  { m: 1, k: 96, n: 64, why: "7 panels in stretches of 2, 2, 2, 1" },
  { m: 196, k: 320, n: 320, why: "flickr-mini vision attention" },
  { m: 53, k: 384, n: 1024, why: "flickr-mini text up" },
  { m: 49, k: 1280, n: 384, why: "flickr-mini connector" },
  { m: 65, k: 576, n: 1536, why: "SmolVLM-256M text up" },
];

/** A product of random codes: its operands as kernels take them; `pack` lays the weights out. */
export function operands(
  arena: Arena,
  bits: WeightBits,
  { m, k, n }: Shape,
  group: 1 | 4,
  pack = (codes: Uint8Array | Int8Array) => packWeights(bits, codes, n, k),
) {
  const kp = paddedK(k), n8 = roundUp(n, 8), high = (1 << (bits - 1)) - 1;
  const random = arenaCodes(m * k + n * k);
  const activations = packActivations(
    random.codes(m * k, -128, 127),
    m,
    k,
    group,
  );
  const weights = bits === 4
    ? random.bytes(codeBytes(4, n, k))
    : random.codes(n * k, -high - 1, high);
  const sums = new Int32Array(roundUp(m, 4));
  for (let r = 0; r < m; r++) {
    for (let j = 0; j < kp; j++) {
      sums[r] += activations[activationOffset(r, j, kp, group)];
    }
  }
  if (activations.length !== activationBytes(m, k, group)) {
    throw new Error("size");
  }
  return {
    kp,
    n8,
    n0: n8 > 16 ? 8 : 0, // a thread's share, not the whole
    pointers: [
      arena.place(activations),
      arena.place(sums),
      arena.place(pack(weights)),
      arena.floats(n8, 0.01), // alpha
      arena.floats(n8, 1), // bias
    ],
  };
}

/** Deterministic int8 codes; a tenth of them the two corners. */
function arenaCodes(seed: number) {
  let s = seed >>> 0 || 1;
  const next = () => (s = (Math.imul(s, 1664525) + 1013904223) >>> 0) >>> 8;
  return {
    codes: (count: number, low: number, high: number) =>
      Int8Array.from({ length: count }, () => {
        const x = next();
        if (x % 10 === 0) return x & 16 ? low : high;
        return low + x % (high - low + 1);
      }),
    bytes: (count: number) => Uint8Array.from({ length: count }, next),
  };
}

/** Cases over shapes of so many rows: stored and added for edges, added alone for the larger real ones. */
export function casesOver<S extends Shape>(
  shapes: readonly S[],
  rows: "several" | "one",
  args: (arena: Arena, shape: S, accumulate: number) => number[],
): Case[] {
  return shapes.flatMap((given) => {
    const shape = rows === "one" ? { ...given, m: 1 } : given;
    const { m, k, n, why } = shape;
    const modes = given.m * k * n < 1e6 ? [0, 1] : [1];
    return modes.map((accumulate) => ({
      name: `${rows === "one" ? "" : `${m}×`}${k}→${n} ${
        accumulate ? "added" : "stored"
      } (${why})`,
      build: (arena: Arena) => args(arena, shape, accumulate),
    }));
  });
}

function gemmCases(bits: WeightBits): Case[] {
  return casesOver(shapes, "several", (arena, shape, accumulate) => {
    const { pointers, kp, n8, n0 } = operands(arena, bits, shape, 4);
    const ldy = n8 + 8, y = arena.floats(shape.m * ldy);
    const scratch = arena.scratch(gemmScratchBytes(kp));
    return [...pointers, y, shape.m, kp, ldy, n0, n8, scratch, accumulate];
  });
}

function gemvCases(bits: WeightBits): Case[] {
  return casesOver(shapes, "one", (arena, shape, accumulate) => {
    const { pointers, kp, n8, n0 } = operands(arena, bits, shape, 1);
    return [...pointers, arena.floats(n8), kp, n0, n8, accumulate];
  });
}

function gemm(bits: WeightBits): Contract<Gemm> {
  return contract({
    meaning:
      `y[m,n] = alpha[n]·Σₖ a[m,k]·w[n,k] + bias[n], w ${bits} bits, a int8 (A4)`,
    reference: gemmReference(bits),
    cases: gemmCases(bits),
  });
}

function gemv(bits: WeightBits): Contract<Gemv> {
  return contract({
    meaning:
      `y[n] = alpha[n]·Σₖ a[k]·w[n,k] + bias[n], w ${bits} bits, a int8 (A1)`,
    reference: gemvReference(bits),
    cases: gemvCases(bits),
  });
}

/** Products of several rows (prefill, vision). */
export const gemms: {
  gemm_w4a8: Contract<Gemm>;
  gemm_w5a8: Contract<Gemm>;
  gemm_w6a8: Contract<Gemm>;
  gemm_w7a8: Contract<Gemm>;
  gemm_w8a8: Contract<Gemm>;
} = {
  gemm_w4a8: gemm(4),
  gemm_w5a8: gemm(5),
  gemm_w6a8: gemm(6),
  gemm_w7a8: gemm(7),
  gemm_w8a8: gemm(8),
};

/** Products of one row (decode). */
export const gemvs: {
  gemv_w4a8: Contract<Gemv>;
  gemv_w5a8: Contract<Gemv>;
  gemv_w6a8: Contract<Gemv>;
  gemv_w7a8: Contract<Gemv>;
  gemv_w8a8: Contract<Gemv>;
} = {
  gemv_w4a8: gemv(4),
  gemv_w5a8: gemv(5),
  gemv_w6a8: gemv(6),
  gemv_w7a8: gemv(7),
  gemv_w8a8: gemv(8),
};
