/**
 * Kernels that move, add or scale float rows, look up embeddings, turn pixels
 * into patches, and convolve along a sequence.
 * @module
 */
import { paddedK, roundUp, type RowBlock } from "../layout.ts";
import {
  f32,
  i32,
  i8,
  kernel,
  optional,
  out,
  packed,
  range,
  rowsF32,
  size,
  u8,
} from "../signature.ts";

/** Rows of k elements, k a multiple of 4. */
const rowOperands = {
  y: out(rowsF32("rows", "ldy", "k")),
  ldy: size,
  x: rowsF32("rows", "ldx", "k"),
  /** 0: one row for all. */
  ldx: size,
  k: size,
  rows: range(),
};

/** Residual addition. */
export const add_f32 = kernel("add_f32", "y = y + x", rowOperands);

/** Copy with strides. */
export const copy_f32 = kernel("copy_f32", "y = x", rowOperands);

/** A factor per channel. */
export const scale_f32 = kernel("scale_f32", "y = x ⊙ factor", {
  y: out(rowsF32("rows", "ldy", "k")),
  ldy: size,
  x: rowsF32("rows", "ldx", "k"),
  ldx: size,
  factor: f32("k"),
  k: size,
  rows: range(),
});

/** Embedding rows from packed weights, which a tied head reads too. */
export const embedding_f32 = kernel(
  "embedding_f32",
  "y[row] = scale[id]·w[id], id = ids[row]",
  {
    w: packed("u8", "W4 or W8 [vocabulary][k]", () => 0),
    /** 4 or 8. */
    bits: size,
    scale: f32("vocabulary"),
    ids: i32("rows"),
    y: out(rowsF32("rows", "ldy", "k")),
    ldy: size,
    k: size,
    rows: range(),
  },
);

/** Idefics3's pixel shuffle: factor² neighbouring rows of a grid become one row. */
export const pixel_shuffle_f32 = kernel(
  "pixel_shuffle_f32",
  "y[(Y,X)][(dy,dx,c)] = x[(Y·factor+dy, X·factor+dx)][c]",
  {
    x: {
      ...f32("grid"),
      shape: "[grid rows][grid][dim]",
      bytes: ({ rows, factor, dim }) => 4 * rows * factor ** 2 * dim,
    },
    y: out({
      ...f32("rows"),
      shape: "[rows][factor²·dim]",
      bytes: ({ rows, factor, dim }) => 4 * rows * factor ** 2 * dim,
    }),
    /** Columns of the grid. */
    grid: size,
    dim: size,
    factor: size,
    /** Rows of y. */
    rows: range(),
  },
);

/** RGB bytes to quantized rows in convolution order (c, y, x), through a table per channel: the window of each patch, 0 where it lies outside of the picture. */
export const patchify_u8_s8 = kernel(
  "patchify_u8_s8",
  "q[patch][(c,y,x)] = table[c][pixel], sums = Σₖ q",
  {
    image: {
      ...u8("height", "width", "3"),
      bytes: ({ rows, patch }) => rows * patch ** 2 * 3,
    },
    /** Pixels; windows reach no lower. */
    height: size,
    /** Pixels, a multiple of patch. */
    width: size,
    /** Pixels from a window to the next. */
    patch: size,
    /** Pixels a side of a window. */
    side: size,
    /** Lines above and columns left of the picture that the first window covers. */
    top: size,
    left: size,
    table: i8("3", "256"),
    q: out(packed(
      "i8",
      "A4 or A1 [patches][3·side²]",
      ({ rows, side, rowBlock }) =>
        roundUp(rows, rowBlock as RowBlock) * paddedK(3 * side ** 2),
    )),
    sums: out(i32("rows")),
    /** Patches, row by row over the grid. */
    rows: range("rowBlock"),
    rowBlock: size,
  },
);

/** Stores the inputs of a causal convolution by position, for later tokens. */
export const conv_state_f32 = kernel(
  "conv_state_f32",
  "state[positions[row]] = x[row] ⊙ gate[row]",
  {
    x: rowsF32("rows", "ldx", "k"),
    ldx: size,
    gate: optional(rowsF32("rows", "ldg", "k")),
    ldg: size,
    positions: i32("rows"),
    state: out(f32("position", "k")),
    k: size,
    rows: range(),
  },
);

/**
 * Causal depthwise convolution along a sequence, summed in the order of t. The
 * state begins with taps − 1 rows of 0, so w[taps − 1] meets the row's own input.
 */
export const causal_conv1d_f32 = kernel(
  "causal_conv1d_f32",
  "y[row] = (bias + Σₜ w[t] ⊙ state[positions[row] + t]) ⊙ gate[row]",
  {
    state: f32("taps − 1 + position", "k"),
    positions: i32("rows"),
    taps: size,
    w: f32("taps", "k"),
    bias: optional(f32("k")),
    gate: optional(rowsF32("rows", "ldg", "k")),
    ldg: size,
    y: out(rowsF32("rows", "ldy", "k")),
    ldy: size,
    k: size,
    rows: range(),
  },
);
