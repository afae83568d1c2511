/**
 * Depthwise convolution over the pixels of an image. Dense convolutions use other
 * ops: 1 × 1 is a `linear`, and the first convolution of a vision tower is a `linear`
 * after a `patch_input` with overlapping windows (im2col).
 * @module
 */
import type { Floats } from "../executor.ts";
import * as f from "../field.ts";
import { siteScale } from "../names.ts";
import { fixed, op, type OpNode, parameter } from "../op.ts";
import type { Runner } from "../runner.ts";
import { type SiteHooks, siteValue, siteWeights } from "./site.ts";

const fields = {
  x: f.value("one row per pixel, in row-major order: [rows·columns, width]"),
  width: f.size("channels"),
  grid: f.list("two whole numbers from 1 to 1024", (n) => n === 2, f.side(""))(
    "pixels of x: [rows, columns]",
  ),
  kernelSize: f.side("side of a window in pixels, at most 7"),
  stride: f.side("pixels between windows, at most kernelSize"),
  padding: f.list("two whole numbers below 7", (n) => n === 2, f.offset(""))(
    "rows above and columns left of the image that the first window covers, less than kernelSize",
  ),
  weight: f.tensor("[width, kernelSize²], integers of 8 bits"),
  bias: f.optional(f.tensor("[width]")),
};

/** A depthwise convolution. */
export type DepthwiseConv2dNode = OpNode<"depthwise_conv2d", typeof fields>;

/** Largest kernelSize that the kernels support. */
const MOST_SIDE = 7;

/** Output size of a convolution, [rows, columns]: ⌈input size / stride⌉. */
export function conv2dGrid(
  { grid: [rows, columns], stride }: Pick<
    DepthwiseConv2dNode,
    "grid" | "stride"
  >,
): readonly [number, number] {
  return [Math.ceil(rows / stride), Math.ceil(columns / stride)];
}

const pixelsIn = ([rows, columns]: readonly number[]) => rows * columns;

/** The op `depthwise_conv2d`; `about` defines it. */
export const depthwise_conv2d = op({
  op: "depthwise_conv2d",
  about:
    "A depthwise convolution, [⌈rows/stride⌉·⌈columns/stride⌉, width]; zero-padded. Its input is quantized to int8 on a static scale.",
  fields,
  phase: "vision",
  rows: (node) => pixelsIn(conv2dGrid(node)),
  tensors: (node) => [
    ...fixed(siteScale(node), 1),
    {
      kind: "weight",
      name: node.weight,
      shape: [node.width, node.kernelSize ** 2],
      grouped: false,
      bits: 8,
    },
    ...parameter(node.bias, node.width),
  ],
  check(node, { widths, info, expect, fail }) {
    const { width, kernelSize, stride, padding } = node;
    expect(width, widths[0], "the width of its input");
    if (info.image?.nativeResolution) {
      fail("all images must have one size: the info has nativeResolution");
    }
    if (kernelSize > MOST_SIDE || stride > kernelSize) {
      fail(
        `kernelSize must be at most ${MOST_SIDE} and stride at most kernelSize: they are ${kernelSize} and ${stride}`,
      );
    }
    if (padding.some((p) => p >= kernelSize)) {
      fail(
        `padding must be less than kernelSize: it is ${padding} of ${kernelSize}`,
      );
    }
  },
  run(node, r: Runner<SiteHooks<DepthwiseConv2dNode>>) {
    const { executor, segments: { length: images } } = r,
      { width, grid } = node;
    const modality = (rows: number) => new Uint8Array(rows); // all of images
    const x = siteValue(node, width, r, modality),
      each = pixelsIn(grid) * width;
    if (x.length !== images * each) {
      throw new RangeError(
        `Cannot run "${node.id}": an image must have ${
          grid.join(" × ")
        } pixels of ${width} channels: ${images} have ${x.length} values`,
      );
    }
    const weights = siteWeights(node, r, x, modality(x.length / width))
      .map((w) => byTap(w, node, executor.zeros(w.length)));
    const bias = node.bias === undefined ? undefined : r.param(node.bias);
    const made = pixelsIn(conv2dGrid(node)) * width;
    const y = executor.zeros(images * made);
    for (let i = 0; i < images; i++) {
      const image = x.subarray(i * each, (i + 1) * each);
      const weight = weights[Math.floor(i * weights.length / images)];
      convolve(image, node, weight, bias, y.subarray(i * made, (i + 1) * made));
    }
    return y;
  },
});

/** Transposes a weight to [kernelSize², width], in `to`. */
function byTap(w: Floats, { width }: DepthwiseConv2dNode, to: Floats): Floats {
  const taps = w.length / width;
  for (let i = 0; i < w.length; i++) {
    to[i % taps * width + Math.floor(i / taps)] = w[i];
  }
  return to;
}

/** Convolves one image: x [rows·columns, width], weight [kernelSize², width]. */
function convolve(
  x: Floats,
  node: DepthwiseConv2dNode,
  weight: Floats,
  bias: Floats | undefined,
  y: Floats,
): void {
  const { width: c, kernelSize: side, stride, padding: [top, left] } = node;
  const [rows, columns] = node.grid, [down, across] = conv2dGrid(node);
  const taps = side * side;
  for (let o = 0; o < down * across; o++) {
    const first = Math.floor(o / across) * stride - top;
    const begin = o % across * stride - left, to = o * c;
    if (bias) y.set(bias, to);
    for (let t = 0; t < taps; t++) {
      const row = first + Math.floor(t / side), column = begin + t % side;
      if (row < 0 || row >= rows || column < 0 || column >= columns) continue;
      const from = (row * columns + column) * c;
      for (let i = 0; i < c; i++) {
        y[to + i] += x[from + i] * weight[t * c + i];
      }
    }
  }
}
