/**
 * Convolutions over the pixels of an image: one int8 row per pixel, line by line.
 * A window of `side` × `side` pixels moves by `stride`; what of it lies outside of
 * the picture is 0. The output has `columns` pixels a line.
 *
 * Depthwise ones give each channel a filter of its own: sums are exact, then
 * `f32(sum) · alpha[c] + bias[c]`, each operation rounded to float32. `alpha` is
 * the filter's scale times that of x; padded channels have 0.
 * @module
 */
import {
  depthwiseScratchBytes,
  filterBytes,
  paddedK,
  roundUp,
} from "../layout.ts";
import {
  kernel,
  out,
  packed,
  range,
  rowsF32,
  scratch,
  size,
} from "../signature.ts";
import { levels, target } from "./quantize.ts";

/** A value for each channel; channels come 16 at a time. */
const perChannel = packed("f32", "[k]", ({ k }) => 4 * roundUp(k, 16));

/** Operands of the window. */
const window = {
  /** Pixels of x. */
  height: size,
  width: size,
  /** At most 7. */
  side: size,
  stride: size,
  /** Lines above and columns left of the picture that the first window covers. */
  top: size,
  left: size,
  columns: size,
};

/** Shared operands of the depthwise convolutions. */
const depthwise = {
  x: packed(
    "i8",
    "A1 [height·width][k]",
    ({ height, width, k }) => height * width * paddedK(k),
  ),
  w: packed("i8", "D [k][side²]", ({ k, side }) => filterBytes(k, side)),
  alpha: perChannel,
  bias: perChannel,
};

const working = scratch(({ k, side }) => depthwiseScratchBytes(k, side));

/** Depthwise convolution with float output. */
export const depthwise_w8a8 = kernel(
  "depthwise_w8a8",
  "y[row,c] = alpha[c]·Σₜ x[row's pixel t,c]·w[c,t] + bias[c]",
  {
    ...depthwise,
    y: out(rowsF32("rows", "ldy", "k")),
    ldy: size,
    ...window,
    /** Channels, a multiple of 4. */
    k: size,
    /** Pixels of the output. */
    rows: range(),
    scratch: working,
  },
);

/** Depthwise convolution with int8 output. */
export const depthwise_w8a8_s8 = kernel(
  "depthwise_w8a8_s8",
  "q = round(clamp(y·inv, low, high)), y of depthwise_w8a8; sums = Σₖ q",
  {
    x: depthwise.x,
    /** 1 where no value of x is negative, as behind ReLU6: relaxed builds are faster then. */
    nonNegative: size,
    w: depthwise.w,
    alpha: perChannel,
    bias: perChannel,
    ...levels,
    ...window,
    ...target,
    scratch: working,
  },
);
