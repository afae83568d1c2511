/**
 * Cases of the kernels over float rows, of the packers, and of the convolution.
 * @module
 */
import {
  activationBytes,
  roundUp,
  type RowBlock,
  rowSumCount,
  weightBytes,
} from "../../../src/kernels/layout.ts";
import type { Arena, CasesOf } from "../case.ts";

/** Addition and copy. */
export const rows: CasesOf<"add_f32"> = [
  { rows: 1, k: 4, ldx: 12 },
  { rows: 3, k: 20, ldx: 28 },
  { rows: 9, k: 576, ldx: 584 },
  { rows: 4, k: 40, ldx: 0 }, // one row for all: the bias of a norm
].map(({ rows, k, ldx }) => ({
  name: `${rows}×${k}, ${ldx} apart`,
  build: (arena: Arena) => ({
    y: arena.floats(rows * (k + 4)),
    ldy: k + 4,
    x: arena.floats(Math.max(rows * ldx, k)),
    ldx,
    k,
    rows: [rows > 1 ? 1 : 0, rows] as const,
  }),
}));

/** A factor per channel. */
export const scale: CasesOf<"scale_f32"> = [[1, 4], [3, 20], [9, 1664]].map(
  ([rows, k]) => ({
    name: `${rows}×${k}`,
    build: (arena) => ({
      y: arena.floats(rows * (k + 4)),
      ldy: k + 4,
      x: arena.floats(rows * (k + 8)),
      ldx: k + 8,
      factor: arena.floats(k),
      k,
      rows: [rows > 1 ? 1 : 0, rows],
    }),
  }),
);

/** Embedding rows. */
export const embedding: CasesOf<"embedding_f32"> = ([4, 8] as const).flatMap(
  (bits) => [[1, 4], [5, 36], [7, 576]].map(([rows, k]) => ({ bits, rows, k })),
).map(({ bits, rows, k }) => ({
  name: `${rows}×${k}, ${bits} bits`,
  build: (arena) => ({
    w: arena.int8s(weightBytes(bits, 11, k)),
    bits,
    scale: arena.floats(11, 0.1),
    ids: arena.ints(rows, (i) => (i * 7 + 3) % 11),
    y: arena.floats(rows * (k + 4)),
    ldy: k + 4,
    k,
    rows: [rows > 1 ? 1 : 0, rows],
  }),
}));

/** Pixel shuffle. */
export const pixelShuffle: CasesOf<"pixel_shuffle_f32"> = [
  [4, 4, 2],
  [14, 320, 2],
  [8, 36, 4],
].map(([grid, dim, factor]) => ({
  name: `${grid}×${grid}×${dim}, factor ${factor}`,
  build: (arena) => ({
    x: arena.floats(grid * grid * dim),
    y: arena.floats(grid * grid * dim),
    grid,
    dim,
    factor,
    rows: [1, (grid / factor) ** 2],
  }),
}));

/** Patches, and windows that overlap. */
export const patchify: CasesOf<"patchify_u8_s8"> = [
  { grid: 4, patch: 2, rowBlock: 4 },
  { grid: 3, patch: 14, rowBlock: 4 },
  { grid: 14, patch: 16, rowBlock: 4 },
  { grid: 2, patch: 6, rowBlock: 1 },
  { grid: 5, patch: 2, rowBlock: 4, side: 3, top: 0, left: 0 },
  { grid: 6, patch: 2, rowBlock: 4, side: 3, top: 1, left: 1 },
  { grid: 3, patch: 4, rowBlock: 4, side: 7, top: 2, left: 3 },
  { grid: 2, patch: 4, rowBlock: 1, side: 5, top: 1, left: 0 },
].map(({ grid, patch, rowBlock, side = patch, top = 0, left = 0 }) => ({
  name: `${grid}×${grid} windows of ${side}, ${patch} apart, A${rowBlock}`,
  build(arena) {
    const rows = grid * grid, k = roundUp(3 * side * side, 4);
    return {
      image: arena.bytes(rows * 3 * patch * patch),
      height: grid * patch,
      width: grid * patch,
      patch,
      side,
      top,
      left,
      table: arena.int8s(768),
      q: arena.int8s(activationBytes(rows, k, rowBlock as RowBlock)),
      sums: arena.ints(rowSumCount(rows), (i) => i),
      rows: [0, rows],
      rowBlock,
    };
  },
}));

/** Packed weights. */
export const pack = (bits: 4 | 8): CasesOf<"pack_w4"> =>
  [[1, 4], [7, 28], [8, 32], [9, 36], [24, 320], [8, 64], [19, 72], [17, 100]]
    .map(([rows, k]) => ({
      name: `${rows}×${k}`,
      build: (arena) => ({
        values: bits === 4
          ? arena.bytes(rows * k / 2)
          : arena.int8s(rows * k, -128, 127),
        w: arena.bytes(weightBytes(bits, rows, k)),
        rows,
        k,
      }),
    }));

const convolutions = [
  { rows: 1, k: 4, taps: 1, gated: false, why: "the smallest" },
  { rows: 5, k: 48, taps: 3, gated: true, why: "a toy" },
  { rows: 7, k: 20, taps: 4, gated: false, why: "an even number of taps" },
  { rows: 1, k: 1024, taps: 3, gated: true, why: "LFM2-350M decode" },
];

/** Inputs of a convolution. */
export const convState: CasesOf<"conv_state_f32"> = convolutions.map((
  { rows, k, gated, why },
) => ({
  name: `${rows} × ${k}${gated ? ", gated" : ""} (${why})`,
  build: (arena) => ({
    x: arena.floats(rows * (k + 4)),
    ldx: k + 4,
    gate: gated ? arena.floats(rows * (k + 8)) : 0,
    ldg: k + 8,
    positions: arena.ints(rows, (i) => (i * 3 + 1) % (rows + 2)),
    state: arena.floats((rows + 2) * k),
    k,
    rows: [rows > 4 ? 1 : 0, rows],
  }),
}));

/** The convolution. */
export const causalConv1d: CasesOf<"causal_conv1d_f32"> = convolutions.map((
  { rows, k, taps, gated, why },
) => ({
  name: `${rows} × ${k}, ${taps} taps${gated ? ", gated" : ", bias"} (${why})`,
  build: (arena) => ({
    state: arena.floats((rows + 2 + taps) * k),
    positions: arena.ints(rows, (i) => (i * 3 + 1) % (rows + 2)),
    taps,
    w: arena.floats(taps * k),
    bias: gated ? 0 : arena.floats(k),
    gate: gated ? arena.floats(rows * (k + 8)) : 0,
    ldg: k + 8,
    y: arena.floats(rows * (k + 4)),
    ldy: k + 4,
    k,
    rows: [rows > 4 ? 1 : 0, rows],
  }),
}));
