/**
 * Cases of the matrix products: edges, then real shapes.
 * @module
 */
import {
  activationBytes,
  activationOffset,
  gemmScratchBytes,
  gemvScratchBytes,
  packActivations,
  packFloats,
  packGroups,
  packWeights,
  paddedK,
  roundUp,
  type RowBlock,
  valueBytes,
} from "../../../src/kernels/layout.ts";
import type { Arena, CasesOf } from "../case.ts";

/** A product: rows × k → n. */
interface Shape {
  readonly m: number;
  /** Length of the reduction, before padding. */
  readonly k: number;
  /** Columns, before padding. */
  readonly n: number;
  /** What it tests, or whose it is. */
  readonly why: string;
}

const shapes: readonly Shape[] = [
  { m: 1, k: 32, n: 8, why: "one of everything" },
  { m: 2, k: 36, n: 9, why: "k one step over a block, n over a panel" },
  { m: 3, k: 28, n: 7, why: "k one step under a block, n under a panel" },
  { m: 5, k: 64, n: 24, why: "partial second row block" },
  { m: 9, k: 96, n: 16, why: "partial third row block" },
  { m: 4, k: 2048, n: 8, why: "longest k in one pass" },
  { m: 6, k: 2080, n: 16, why: "k one block over one pass" },
  { m: 2, k: 4128, n: 8, why: "three passes" },
  { m: 23, k: 96, n: 16, why: "5 row blocks, then 3 rows" },
  { m: 37, k: 64, n: 8, why: "the fifth row is borrowed from the next block" },
  { m: 29, k: 16384, n: 8, why: "rows in two passes of the cache" },
  { m: 1, k: 64, n: 48, why: "5 panels in streams of 2, 2, 1, 0" },
  { m: 1, k: 96, n: 64, why: "7 panels in streams of 2, 2, 2, 1" },
  { m: 196, k: 320, n: 320, why: "a ViT's attention" },
  { m: 53, k: 384, n: 1024, why: "photo-mini text up" },
  { m: 49, k: 1280, n: 384, why: "a connector" },
  { m: 65, k: 576, n: 1536, why: "SmolVLM-256M text up" },
];

/** Deterministic int8 values; a tenth of them the two extremes. */
function values(seed: number) {
  let s = seed >>> 0 || 1;
  const next = () => (s = (Math.imul(s, 1664525) + 1013904223) >>> 0) >>> 8;
  return {
    int8s: (count: number, low: number, high: number) =>
      Int8Array.from({ length: count }, () => {
        const x = next();
        if (x % 10 === 0) return x & 16 ? low : high;
        return low + x % (high - low + 1);
      }),
    bytes: (count: number) => Uint8Array.from({ length: count }, next),
  };
}

/** Operands of a product of random values; `pack` lays out the weights. */
function operands(
  arena: Arena,
  bits: 4 | 8,
  { m, k, n }: Shape,
  rowBlock: RowBlock,
  accumulate: number,
  pack = (w: Uint8Array | Int8Array) => packWeights(bits, w, n, k),
  least = -128,
) {
  const kp = paddedK(k), n8 = roundUp(n, 8), high = (1 << (bits - 1)) - 1;
  const random = values(m * k + n * k);
  const x = packActivations(random.int8s(m * k, least, 127), m, k, rowBlock);
  const w = bits === 4
    ? random.bytes(valueBytes(4, n, k))
    : random.int8s(n * k, -high - 1, high);
  const sums = new Int32Array(roundUp(m, 4));
  for (let r = 0; r < m; r++) {
    for (let j = 0; j < kp; j++) {
      sums[r] += x[activationOffset(r, j, kp, rowBlock)];
    }
  }
  if (x.length !== activationBytes(m, k, rowBlock)) throw new Error("size");
  return {
    x: arena.place(x),
    sums: arena.place(sums),
    w: arena.place(pack(w)),
    alpha: arena.floats(n8, 0.01),
    bias: arena.floats(n8, 1),
    k: kp,
    n: [n8 > 16 ? 8 : 0, n8] as const, // a thread's share, not the whole
    accumulate,
  };
}

/** Stored and added for edges, added only for the larger real shapes. */
function over<S extends Shape, C>(
  shapes: readonly S[],
  several: boolean,
  call: (arena: Arena, shape: S, accumulate: number) => C,
) {
  return shapes.flatMap((given) => {
    const shape = several ? given : { ...given, m: 1 };
    const { m, k, n, why } = shape;
    const modes = given.m * k * n < 1e6 ? [0, 1] : [1];
    return modes.map((accumulate) => ({
      name: `${several ? `${m}×` : ""}${k}→${n} ${
        accumulate ? "added" : "stored"
      } (${why})`,
      build: (arena: Arena) => call(arena, shape, accumulate),
    }));
  });
}

/** Several rows, of values from `least` on. */
export const gemm = (bits: 4 | 8, least = -128): CasesOf<"gemm_w4a8"> =>
  over(shapes, true, (arena, shape, accumulate) => {
    const all = operands(arena, bits, shape, 4, accumulate, undefined, least);
    const rows = shape.m, ldy = all.n[1] + 8, y = arena.floats(rows * ldy);
    const scratch = arena.scratch(gemmScratchBytes(all.k));
    return { ...all, y, rows, ldy, scratch };
  });

/** Several rows to int8, in the place of "added" with a clamp. */
export const gemmToLevels = (bits: 4 | 8): CasesOf<"gemm_w4a8_s8"> =>
  over(shapes, true, (arena, shape, clamped) => {
    const { accumulate: _, ...all } = operands(arena, bits, shape, 4, clamped);
    const rows = shape.m, ldq = all.n[1] + 8, q = arena.int8s(rows * ldq);
    const scratch = arena.scratch(gemmScratchBytes(all.k));
    const levels = clamped ? { low: 0, high: 93.5 } : { low: -128, high: 127 };
    return {
      ...all,
      q,
      rows,
      ldq,
      scratch,
      inv: bits === 4 ? 0.3 : 0.02,
      ...levels,
    };
  });

/** One row. */
export const gemv = (bits: 4 | 8): CasesOf<"gemv_w4a8"> =>
  over(shapes, false, (arena, shape, accumulate) => {
    const all = operands(arena, bits, shape, 1, accumulate);
    return { ...all, y: arena.floats(all.n[1]) };
  });

/** A shape whose weights are in groups of so many columns. */
interface GroupedShape extends Shape {
  readonly group: number;
}

const groupedShapes: readonly GroupedShape[] = [
  { m: 1, k: 32, n: 8, group: 32, why: "one of everything" },
  { m: 3, k: 96, n: 9, group: 32, why: "three groups, n over a panel" },
  { m: 9, k: 192, n: 24, group: 96, why: "groups that are no power of two" },
  { m: 6, k: 1056, n: 16, group: 96, why: "a group across two passes" },
  { m: 1, k: 128, n: 48, group: 64, why: "5 panels in streams of 2, 2, 1, 0" },
  { m: 37, k: 64, n: 8, group: 64, why: "one group, two passes of rows" },
  { m: 2, k: 4096, n: 8, group: 128, why: "four passes" },
  { m: 53, k: 384, n: 1024, group: 64, why: "photo-mini text up" },
];

/** Operands whose group scales take each of 1 to 15. */
function grouped(
  arena: Arena,
  shape: GroupedShape,
  rowBlock: RowBlock,
  accumulate: number,
) {
  const { n, k, group } = shape;
  const scales = Uint8Array.from(
    { length: n * k / group },
    (_, i) => 1 + i * 7 % 15,
  );
  const pack = (w: Uint8Array | Int8Array) =>
    packGroups(w as Uint8Array, scales, n, k, group);
  return { ...operands(arena, 4, shape, rowBlock, accumulate, pack), group };
}

/** Several rows, weights in groups. */
export const groupedGemm: CasesOf<"gemm_w4ga8"> = over(
  groupedShapes,
  true,
  (arena, shape, accumulate) => {
    const all = grouped(arena, shape, 4, accumulate);
    const rows = shape.m, ldy = all.n[1] + 8, y = arena.floats(rows * ldy);
    const scratch = arena.scratch(gemmScratchBytes(all.k, true));
    return { ...all, y, rows, ldy, scratch };
  },
);

/** One row, weights in groups. */
export const groupedGemv: CasesOf<"gemv_w4ga8"> = over(
  groupedShapes,
  false,
  (arena, shape, accumulate) => {
    const all = grouped(arena, shape, 1, accumulate);
    const y = arena.floats(all.n[1]);
    return { ...all, y, scratch: arena.scratch(gemvScratchBytes(all.k)) };
  },
);

const floatShapes = [
  [1, 1, 1],
  [2, 3, 7],
  [3, 7, 9],
  [4, 16, 8],
  [5, 33, 20],
  [9, 100, 33],
  [53, 384, 384],
];

/** Float32. */
export const gemmF32: CasesOf<"gemm_f32"> = floatShapes.map(([rows, k, n]) => ({
  name: `${rows}×${k}→${n}`,
  build(arena) {
    const w = Float32Array.from(
      { length: n * k },
      (_, i) => Math.sin(i * 12.9898) * 0.5,
    );
    const n8 = roundUp(n, 8), ldx = k + 3, ldy = n8 + 4;
    return {
      x: arena.floats(rows * ldx),
      y: arena.floats(rows * ldy),
      w: arena.place(packFloats(w, n, k)),
      bias: arena.floats(n8),
      rows,
      k,
      ldx,
      ldy,
      n: [0, n8],
    };
  },
}));

/** The outlier channel. */
export const rank1: CasesOf<"rank1_f32"> = [[1, 4, 0], [5, 24, 8], [9, 384, 0]]
  .map(([rows, n, first]) => ({
    name: `${rows}×${n}`,
    build: (arena) => ({
      y: arena.floats(rows * (n + 4)),
      x0: arena.floats(rows),
      w0: arena.floats(n),
      rows,
      n: [first, n],
      ldy: n + 4,
    }),
  }));
