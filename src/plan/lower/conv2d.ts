/**
 * Lowers depthwise convolutions of int8 rows, one row per pixel.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { siteScale, weightScale } from "../../graph/names.ts";
import type { DepthwiseConv2dNode } from "../../graph/node.ts";
import { conv2dGrid } from "../../graph/ops/conv2d.ts";
import { filterBytes, packFilters, roundUp } from "../../kernels/layout.ts";
import {
  depthwise_w8a8,
  depthwise_w8a8_s8,
} from "../../kernels/signatures/conv.ts";
import { ref } from "../buffer.ts";
import { fixedRows } from "../row_layout.ts";
import { all } from "./call.ts";
import type { Lowering } from "./context.ts";
import { quantizedPixels } from "./quantized.ts";
import type { Deferred } from "./value.ts";

/** Quantizes the input of a convolution; the convolution runs when a node uses its value. */
export function lowerDepthwiseConv2d(
  l: Lowering,
  node: DepthwiseConv2dNode,
): Deferred {
  const { id, width, grid: [height, across], kernelSize, stride } = node;
  const input = quantizedPixels(l, node), pixels = input.layout;
  if (pixels.rows !== height * across) {
    throw l.error(
      `${
        quoted(id)
      }: x must have ${height} × ${across} rows, one per pixel: it has ${pixels.maxRows}`,
    );
  }
  const [down, columns] = conv2dGrid(node), rows = down * columns;
  const layout = rows === pixels.rows ? pixels : fixedRows(rows, 0);
  const [top, left] = node.padding,
    { filters, alpha, bias } = tablesOf(l, node);
  const operands = {
    x: ref(input.values),
    w: ref(filters),
    alpha: ref(alpha),
    bias: ref(bias),
    height,
    width: across,
    side: kernelSize,
    stride,
    top,
    left,
    columns,
    k: width,
    rows: all(rows),
  };
  const cost = [rows, width * kernelSize ** 2] as const;
  return {
    kind: "deferred",
    layout,
    floats() {
      const y = l.rows(id, layout, width);
      const to = { y: ref(y.buffer), ldy: y.stride };
      l.emit(depthwise_w8a8, id, { ...operands, ...to }, cost);
      return y;
    },
    int8({ q, sums, rowBlock, inv, low, high, each }) {
      const nonNegative = input.nonNegative ? 1 : 0;
      const to = { nonNegative, q, sums, rowBlock, inv, low, high };
      l.emit(depthwise_w8a8_s8, id, { ...operands, ...to }, cost, {
        each,
        sync: !each,
      });
    },
  };
}

/** Packed filters; per channel the weight scale times the input's scale, and the bias. */
function tablesOf(l: Lowering, node: DepthwiseConv2dNode) {
  const { id, width, kernelSize, weight, bias } = node, { model, store } = l;
  const column = (name: string, values: () => Float32Array) =>
    store.constant(`${name} ${id}`, 4 * roundUp(width, 16), () => {
      const all = new Float32Array(roundUp(width, 16));
      all.set(values());
      return all;
    });
  return {
    filters: store.constant(
      `filters ${weight}`,
      filterBytes(width, kernelSize),
      () =>
        packFilters(
          model.file.tensor(weight).read() as Int8Array,
          width,
          kernelSize,
        ),
    ),
    alpha: column("alpha", () => {
      const [s] = model.scales(siteScale(node));
      return model.scales(weightScale(weight)).map((w) => s * w);
    }),
    bias: column(
      "bias",
      () => bias === undefined ? new Float32Array(width) : model.floats(bias),
    ),
  };
}
