/**
 * LayerNorm and RMSNorm, of a residual stream or of each head of a row.
 * @module
 */
import type { Floats } from "../executor.ts";
import {
  choice,
  name,
  optional,
  positive,
  size,
  tensor,
  value,
} from "../field.ts";
import { op, parameter } from "../op.ts";
import type { Runner } from "../runner.ts";
import { checkStream } from "./residual.ts";

/** The norm of a residual stream. */
export const norm = op({
  op: "norm",
  about:
    "LayerNorm or RMSNorm of a residual stream over its channels, times weight, plus bias.",
  fields: {
    stream: name("a residual stream"),
    width: size("its channels"),
    kind: choice(["layer", "rms"], "LayerNorm subtracts the mean first"),
    eps: positive("added to the mean square"),
    weight: optional(tensor("[width]; ones where absent")),
    bias: optional(tensor("[width]; zeros where absent")),
  },
  rows: ({ stream }, rows) => rows.stream(stream),
  tensors: ({ weight, bias, width }) => [
    ...parameter(weight, width),
    ...parameter(bias, width),
  ],
  check: checkStream,
  run: (node, r) => normalised(r, r.streams.get(node.stream)!, node),
});

/** RMSNorm of heads. */
export const qk_norm = op({
  op: "qk_norm",
  about:
    "RMSNorm of each head of a row, with one weight for all heads (the norm of queries and keys of Qwen3).",
  fields: {
    x: value("[rows, width]"),
    width: size("channels: whole heads"),
    headDim: size("channels of a head: a multiple of 8"),
    eps: positive("added to the mean square"),
    weight: tensor("[headDim]"),
  },
  rowwise: true,
  tensors: ({ weight, headDim }) => parameter(weight, headDim),
  check({ width, headDim }, { widths, expect, fail }) {
    expect(width, widths[0], "the width of its input");
    if (width % headDim !== 0 || headDim % 8 !== 0) {
      fail(
        `headDim must be a multiple of 8 that divides ${width}: current value is ${headDim}`,
      );
    }
  },
  run: ({ x, headDim: width, eps, weight }, r) =>
    normalised(r, r.value(x), { kind: "rms", width, eps, weight }),
});

/** Rows of `width` channels, each through its norm. */
function normalised(
  { executor, param }: Runner,
  x: Floats,
  { kind, width, eps, weight, bias }: {
    readonly kind: "layer" | "rms";
    readonly width: number;
    readonly eps: number;
    readonly weight?: string;
    readonly bias?: string;
  },
): Floats {
  const gain = weight === undefined ? undefined : param(weight);
  const offset = bias === undefined ? undefined : param(bias);
  const y = executor.zeros(x.length);
  for (let row = 0; row < x.length; row += width) {
    let mean = 0, square = 0;
    if (kind === "layer") {
      for (let i = 0; i < width; i++) mean += x[row + i];
      mean /= width;
    }
    for (let i = 0; i < width; i++) square += (x[row + i] - mean) ** 2;
    const r = 1 / Math.sqrt(square / width + eps);
    for (let i = 0; i < width; i++) {
      y[row + i] = (x[row + i] - mean) * r * (gain ? gain[i] : 1) +
        (offset ? offset[i] : 0);
    }
  }
  return y;
}
