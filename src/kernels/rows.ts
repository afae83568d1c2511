/**
 * Kernels that move or add rows: residual additions, embeddings, patches, and
 * the concatenation of neighbouring patches.
 * @module
 */
import { type Arena, type Contract, contract } from "./contract.ts";
import { column } from "./gemm.ts";
import {
  activationBytes,
  activationOffset,
  codeAt,
  type Group,
  paddedK,
  roundUp,
  rowSumCount,
  type WeightBits,
  weightBytes,
  weightOffset,
} from "./layout.ts";
import type { Views } from "./views.ts";

const f = Math.fround;

/** y ← y + x (or y ← x) over rows [row0, row1) of k elements, k a multiple of 4. */
export type RowsF32 = (
  y: number,
  ldy: number,
  x: number,
  ldx: number,
  k: number,
  row0: number,
  row1: number,
) => void;

/** y ← x ⊙ g over rows [row0, row1) of k elements, k a multiple of 4; g f32 [k]. */
export type GainF32 = (
  y: number,
  ldy: number,
  x: number,
  ldx: number,
  g: number,
  k: number,
  row0: number,
  row1: number,
) => void;

/** y[m,n] ← y[m,n] + x0[m]·w0[n]; x0 f32 [rows], w0 f32 [n]; n0, n1 multiples of 4. */
export type Rank1F32 = (
  y: number,
  x0: number,
  w0: number,
  rows: number,
  n0: number,
  n1: number,
  ldy: number,
) => void;

/** y[r] = codes[ids[r]]·scale[ids[r]]; codes are panels of [vocabulary, k] of 4 to 8 bits, which a tied head reads too; k a multiple of 4. */
export type EmbedF32 = (
  codes: number,
  bits: number,
  scale: number,
  ids: number,
  y: number,
  ldy: number,
  k: number,
  row0: number,
  row1: number,
) => void;

/**
 * Idefics3 / SmolVLM pixel shuffle: each output row is the concatenation of a
 * factor × factor square of input rows, y-major.
 * @param x f32 [grid·grid][dim], rows packed densely
 * @param y f32 [(grid/factor)²][factor²·dim]
 * @param row0 first output row
 * @param row1 end of output rows
 */
export type PixelShuffleF32 = (
  x: number,
  y: number,
  grid: number,
  dim: number,
  factor: number,
  row0: number,
  row1: number,
) => void;

/**
 * u8 RGB image [height][width][3] → patch rows in convolution order (c, py, px)
 * through one 256-entry table per channel (normalisation and scale in one).
 * @param lut int8 [3][256]
 * @param width pixels, a multiple of patch
 * @param patch pixels, with 3·patch² a multiple of 4
 * @param row0 first patch (row-major over the grid), a multiple of `group`
 */
export type PatchifyU8S8 = (
  image: number,
  width: number,
  patch: number,
  lut: number,
  a: number,
  sums: number,
  row0: number,
  row1: number,
  group: number,
) => void;

/**
 * Canonical codes → packed panels (layout.ts), as weights are loaded; whole
 * panels at a time, so that a large matrix streams through.
 * @param codes row-major [rows, k]: int8, or nibbles for 4 bits
 * @param w packed output, 8·ceil(rows/8) columns
 * @param k unpadded, a multiple of 4
 */
export type PackWeights = (
  codes: number,
  w: number,
  rows: number,
  k: number,
) => void;

function eachRow(
  run: (v: Views, to: number, from: number) => void,
): (v: Views) => RowsF32 {
  return (v) => (y, ldy, x, ldx, k, row0, row1) => {
    for (let r = row0; r < row1; r++) {
      for (let j = 0; j < k; j++) {
        run(v, (y >> 2) + r * ldy + j, (x >> 2) + r * ldx + j);
      }
    }
  };
}

const rowCases = [
  { rows: 1, k: 4, ldx: 12 },
  { rows: 3, k: 20, ldx: 28 },
  { rows: 9, k: 576, ldx: 584 },
  { rows: 4, k: 40, ldx: 0 }, // one row for all: the bias of a norm
].map(({ rows, k, ldx }) => ({
  name: `${rows}×${k}, ${ldx} apart`,
  build(arena: Arena) {
    const ldy = k + 4;
    return [
      arena.floats(rows * ldy),
      ldy,
      arena.floats(Math.max(rows * ldx, k)),
      ldx,
      k,
      rows > 1 ? 1 : 0,
      rows,
    ];
  },
}));

/** Residual addition. */
export const add_f32: Contract<RowsF32> = contract({
  meaning: "y ← y + x",
  reference: eachRow((v, to, from) => v.f32[to] += v.f32[from]),
  cases: rowCases,
});

/** Copy with strides. */
export const copy_f32: Contract<RowsF32> = contract({
  meaning: "y ← x",
  reference: eachRow((v, to, from) => v.f32[to] = v.f32[from]),
  cases: rowCases,
});

/** A factor per channel. */
export const gain_f32: Contract<GainF32> = contract({
  meaning: "y ← x ⊙ g",
  reference: (v) => (y, ldy, x, ldx, g, k, row0, row1) => {
    for (let r = row0; r < row1; r++) {
      for (let j = 0; j < k; j++) {
        v.f32[(y >> 2) + r * ldy + j] = v.f32[(x >> 2) + r * ldx + j] *
          v.f32[(g >> 2) + j];
      }
    }
  },
  cases: [[1, 4], [3, 20], [9, 1664]].map(([rows, k]) => ({
    name: `${rows}×${k}`,
    build: (arena) => [
      arena.floats(rows * (k + 4)),
      k + 4,
      arena.floats(rows * (k + 8)),
      k + 8,
      arena.floats(k),
      k,
      rows > 1 ? 1 : 0,
      rows,
    ],
  })),
});

/** One column of the product, in float: the channel that Rotation Magnitude Suppression split off. */
export const rank1_f32: Contract<Rank1F32> = contract({
  meaning: "y[m,n] ← y[m,n] + x0[m]·w0[n]",
  reference: (v) => (y, x0, w0, rows, n0, n1, ldy) => {
    for (let m = 0; m < rows; m++) {
      for (let n = n0; n < n1; n++) {
        v.f32[(y >> 2) + m * ldy + n] += f(
          v.f32[(x0 >> 2) + m] * v.f32[(w0 >> 2) + n],
        );
      }
    }
  },
  cases: [[1, 4, 0], [5, 24, 8], [9, 384, 0]].map(([rows, n, n0]) => ({
    name: `${rows}×${n}`,
    build: (arena) => [
      arena.floats(rows * (n + 4)),
      arena.floats(rows),
      arena.floats(n),
      rows,
      n0,
      n,
      n + 4,
    ],
  })),
});

/** Token embedding rows. */
export const embed_f32: Contract<EmbedF32> = contract({
  meaning: "y[r] = scale[id]·codes[id], id = ids[r]",
  reference: (v) => (codes, bits, scale, ids, y, ldy, k, row0, row1) => {
    for (let r = row0; r < row1; r++) {
      const id = v.i32[(ids >> 2) + r], s = v.f32[(scale >> 2) + id];
      const row = column(v, bits as WeightBits, codes, id, paddedK(k));
      for (let j = 0; j < k; j++) v.f32[(y >> 2) + r * ldy + j] = row[j] * s;
    }
  },
  cases: ([4, 5, 6, 7, 8] as WeightBits[]).flatMap((bits) =>
    [[1, 4], [5, 36], [7, 576]].map(([rows, k]) => ({ bits, rows, k }))
  ).map(({ bits, rows, k }) => ({
    name: `${rows}×${k}, ${bits} bits`,
    build: (arena) => [
      arena.codes(weightBytes(bits, 11, k)),
      bits,
      arena.floats(11, 0.1),
      arena.ints(rows, (i) => (i * 7 + 3) % 11),
      arena.floats(rows * (k + 4)),
      k + 4,
      k,
      rows > 1 ? 1 : 0,
      rows,
    ],
  })),
});

/** Squares of neighbouring patches become one row. */
export const pixel_shuffle_f32: Contract<PixelShuffleF32> = contract({
  meaning: "y[(Y,X)][(dy,dx,c)] = x[(Y·s+dy, X·s+dx)][c]",
  reference: (v) => (x, y, grid, dim, factor, row0, row1) => {
    const side = grid / factor, wide = factor * factor * dim;
    for (let r = row0; r < row1; r++) {
      for (let j = 0; j < wide; j++) {
        const c = j % dim, dx = Math.floor(j / dim) % factor;
        const dy = Math.floor(j / dim / factor);
        const from = (Math.floor(r / side) * factor + dy) * grid +
          (r % side) * factor + dx;
        v.f32[(y >> 2) + r * wide + j] = v.f32[(x >> 2) + from * dim + c];
      }
    }
  },
  cases: [[4, 4, 2], [14, 320, 2], [8, 36, 4]].map(([grid, dim, factor]) => ({
    name: `${grid}×${grid}×${dim}, factor ${factor}`,
    build: (arena) => [
      arena.floats(grid * grid * dim),
      arena.floats(grid * grid * dim),
      grid,
      dim,
      factor,
      1,
      (grid / factor) ** 2,
    ],
  })),
});

/** Pixels to codes of patches, ready for the patch embedding. */
export const patchify_u8_s8: Contract<PatchifyU8S8> = contract({
  meaning: "a[patch][(c,py,px)] = lut[c][pixel], sums = Σₖ a",
  reference: (v) => (image, width, patch, lut, a, sums, row0, row1, group) => {
    const k = 3 * patch * patch, kp = paddedK(k), grid = width / patch;
    for (let r = row0; r < roundUp(row1, group); r++) {
      let sum = 0;
      for (let j = 0; j < kp; j++) {
        let q = 0;
        if (j < k && r < row1) {
          const px = j % patch, py = Math.floor(j / patch) % patch;
          const c = Math.floor(j / patch / patch);
          const line = Math.floor(r / grid) * patch + py;
          const at = (line * width + (r % grid) * patch + px) * 3 + c;
          q = v.i8[lut + c * 256 + v.u8[image + at]];
        }
        v.i8[a + activationOffset(r, j, kp, group as Group)] = q;
        sum += q;
      }
      v.i32[(sums >> 2) + r] = sum;
    }
  },
  cases: [[4, 2, 4], [3, 14, 4], [14, 16, 4], [2, 6, 1]].map((
    [grid, patch, group],
  ) => ({
    name: `${grid}×${grid} patches of ${patch}, A${group}`,
    build(arena) {
      const rows = grid * grid, k = 3 * patch * patch;
      return [
        arena.bytes(rows * k),
        grid * patch,
        patch,
        arena.codes(768),
        arena.codes(activationBytes(rows, k, group as Group)),
        arena.ints(rowSumCount(rows), (i) => i),
        0,
        rows,
        group,
      ];
    },
  })),
});

function packer(bits: WeightBits): Contract<PackWeights> {
  const zero = bits === 8 ? 0 : 1 << (bits - 1);
  return contract({
    meaning: `w = panels of the ${bits}-bit codes, padding of weight 0`,
    reference: (v) => (codes, w, rows, k) => {
      const kp = paddedK(k), n8 = roundUp(rows, 8);
      const bytes = v.u8.subarray(codes);
      v.u8.fill(bits === 4 ? 0x88 : zero, w, w + weightBytes(bits, rows, k));
      for (let n = 0; n < Math.min(rows, n8); n++) {
        for (let j = 0; j < k; j++) {
          const at = w + weightOffset(bits, n, j, kp);
          const q = codeAt(bits, bytes, n * k + j) + zero;
          if (bits !== 4) v.u8[at] = q;
          else v.u8[at] = n & 4 ? v.u8[at] & 15 | q << 4 : v.u8[at] & 240 | q;
        }
      }
    },
    cases: [[1, 4], [7, 28], [8, 32], [9, 36], [24, 320], [8, 64], [19, 72], [
      17,
      100,
    ]].map((
      [rows, k],
    ) => ({
      name: `${rows}×${k}`,
      build: (arena) => [
        bits === 4
          ? arena.bytes(rows * k / 2)
          : arena.codes(rows * k, -(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        arena.bytes(weightBytes(bits, rows, k)),
        rows,
        k,
      ],
    })),
  });
}

/** Packers for all widths. */
export const packers: {
  pack_w4: Contract<PackWeights>;
  pack_w5: Contract<PackWeights>;
  pack_w6: Contract<PackWeights>;
  pack_w7: Contract<PackWeights>;
  pack_w8: Contract<PackWeights>;
} = {
  pack_w4: packer(4),
  pack_w5: packer(5),
  pack_w6: packer(6),
  pack_w7: packer(7),
  pack_w8: packer(8),
};
