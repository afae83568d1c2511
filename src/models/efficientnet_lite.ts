/**
 * EfficientNet-Lite towers of timm (timm/models/efficientnet.py,
 * tf_efficientnet_lite0 to 4; Tan & Le 2019 without squeeze-and-excite): a
 * stem, seven stages of inverted residuals, a 1 × 1 head. Batch norms are
 * folded. Widths, depths and kernel sizes follow from the tensors of the file.
 * @module
 */
import { mapTensor, type Tensor } from "../tensor/tensor.ts";
import { foldedBias, foldedWeight } from "./batch_norm.ts";
import type { Builder } from "./builder.ts";
import type { Source } from "./checkpoint.ts";

/** Names of the towers. */
export const EFFICIENTNET_LITE = [0, 1, 2, 3, 4].map((n) =>
  `tf_efficientnet_lite${n}`
);

/** Stride of the first block of each stage. */
const STRIDES = [1, 2, 2, 2, 1, 2, 1];

/** Stride of the stem. */
export const STEM_STRIDE = 2;

/** Epsilon of TensorFlow's batch norms. */
const EPS = 1e-3;

/** Maximum blocks of a stage: three times the deepest known one. */
const MOST_BLOCKS = 32;

/**
 * Rows and columns that TensorFlow's "SAME" padding adds before the image, if
 * it adds (before, after) equally or one more after.
 */
function samePadding(size: number, kernel: number, stride: number): number {
  const all = (Math.ceil(size / stride) - 1) * stride + kernel - size;
  return Math.max(0, Math.floor(all / 2));
}

/** Shape of the weight of a convolution, [n, c, k, k]. */
type ShapeOf = (convolution: string) => readonly number[];

/** A tower under construction. */
interface Tower {
  readonly g: Builder;
  readonly shapeOf: ShapeOf;
  /** Side length of the next block's input. */
  side: number;
}

/** 1 × 1 convolution as a linear. */
function pointwise(
  { g, shapeOf }: Tower,
  id: string,
  x: string,
  convolution: string,
): { readonly id: string; readonly n: number } {
  const [n, k] = shapeOf(convolution);
  return { id: g.linear(id, x, k, n, { bias: true }), n };
}

function relu6({ g }: Tower, x: string, width: number): string {
  return g.activation(`${x}.act`, "relu6", width, x);
}

/** One filter per channel, then ReLU6. */
function depthwise(
  tower: Tower,
  id: string,
  x: string,
  convolution: string,
  stride: number,
): string {
  const [width, , kernelSize] = tower.shapeOf(convolution), { side } = tower;
  const pad = samePadding(side, kernelSize, stride);
  tower.side = Math.ceil(side / stride);
  const y = tower.g.depthwiseConv2d(id, x, {
    width,
    grid: [side, side],
    kernelSize,
    stride,
    padding: [pad, pad],
  });
  return relu6(tower, y, width);
}

/**
 * An inverted residual, or the first stage's block without expansion; returns
 * its output width.
 */
function block(
  tower: Tower,
  id: string,
  name: string,
  x: string,
  width: number,
  stride: number,
  has: (convolution: string) => boolean,
): { readonly x: string; readonly n: number; readonly residual: boolean } {
  const expands = has(`${name}.conv_pwl`);
  let y = x;
  if (expands) {
    const wide = pointwise(tower, `${id}.expand`, y, `${name}.conv_pw`);
    y = relu6(tower, wide.id, wide.n);
  }
  y = depthwise(tower, `${id}.depthwise`, y, `${name}.conv_dw`, stride);
  const last = `${name}.${expands ? "conv_pwl" : "conv_pw"}`;
  const out = pointwise(tower, `${id}.project`, y, last);
  return { x: out.id, n: out.n, residual: stride === 1 && out.n === width };
}

/**
 * Adds a tower to the graph; returns the rows after its head, [side², width],
 * one row per 32 × 32 pixels.
 * @param tensors tensors of the checkpoint, by name
 * @param at prefix of the tower's names
 * @param size side of a picture in pixels, even
 */
export function efficientnetLite(
  g: Builder,
  tensors: ReadonlyMap<string, Tensor>,
  at: string,
  size: number,
): { readonly x: string; readonly width: number; readonly side: number } {
  const has = (name: string) => tensors.has(`${at}${name}.weight`);
  const shapeOf: ShapeOf = (name) => {
    const shape = tensors.get(`${at}${name}.weight`)?.shape;
    if (shape?.length === 4 && shape[2] === shape[3]) return shape;
    throw new RangeError(
      `Cannot read the checkpoint: tensor "${at}${name}.weight" must be a convolution [n, c, k, k]: ${
        shape ? `its shape is [${shape}]` : "it is missing"
      }`,
    );
  };
  const tower: Tower = { g, shapeOf, side: size / STEM_STRIDE };
  const [n, , kernelSize] = shapeOf("conv_stem");
  const pad = samePadding(size, kernelSize, STEM_STRIDE);
  const wide = windowWidth(kernelSize);
  const pixels = g.patchInput("vision.pixels", wide, {
    kernelSize,
    padding: [pad, pad],
  });
  const stem = g.linear("vision.stem", pixels, wide, n, { bias: true });
  let x = relu6(tower, stem, n), width = n, stream = "";
  for (const [stage, stride] of STRIDES.entries()) {
    for (
      let i = 0;
      i < MOST_BLOCKS && has(`blocks.${stage}.${i}.conv_dw`);
      i++
    ) {
      const id = `vision.${stage}.${i}`, name = `blocks.${stage}.${i}`;
      if (stream) x = g.residualRead(`${id}.read`, stream, width);
      const made = block(tower, id, name, x, width, i === 0 ? stride : 1, has);
      if (!made.residual) stream = id;
      g.residualAdd(stream, made.x);
      width = made.n;
    }
  }
  x = g.residualRead("vision.read", stream, width);
  const head = pointwise(tower, "vision.head", x, "conv_head");
  return { x: relu6(tower, head.id, head.n), width: head.n, side: tower.side };
}

/** Columns of a window, padded to a multiple of 4. */
function windowWidth(kernelSize: number): number {
  return Math.ceil(3 * kernelSize ** 2 / 4) * 4;
}

/** The stem's weight padded with zero columns to [n, windowWidth]. */
function padded(w: Tensor): Tensor {
  const [n, c, k] = w.shape, own = c * k * k, wide = windowWidth(k);
  return mapTensor(w, (values) => {
    const out = new Float64Array(n * wide);
    for (let i = 0; i < values.length; i++) {
      out[Math.floor(i / own) * wide + i % own] = values[i];
    }
    return out;
  }, [n, wide]);
}

/**
 * Names of convolution and norm of each part of a block, with and without
 * expansion.
 */
const PARTS: Record<string, readonly [string, string]> = {
  expand: ["conv_pw", "bn1"],
  depthwise: ["conv_dw", "bn2"],
  project: ["conv_pwl", "bn3"],
};
const FIRST_PARTS: typeof PARTS = {
  depthwise: ["conv_dw", "bn1"],
  project: ["conv_pw", "bn2"],
};

/** Sources of the tower's parameters; undefined for others. */
export function efficientnetLiteSource(
  tensors: ReadonlyMap<string, Tensor>,
  at: string,
  param: string,
): Source | undefined {
  const found = /^vision\.(?:(stem|head)|(\d+\.\d+)\.(\w+))\.(weight|bias)$/
    .exec(param);
  if (!found) return undefined;
  const [, end, block, part, leaf] = found, below = `${at}blocks.${block}.`;
  const parts = tensors.has(`${below}conv_pwl.weight`) ? PARTS : FIRST_PARTS;
  const [convolution, norm] = end === "stem"
    ? [`${at}conv_stem`, `${at}bn1`]
    : end === "head"
    ? [`${at}conv_head`, `${at}bn2`]
    : parts[part].map((name) => below + name);
  if (leaf === "bias") return foldedBias(norm, EPS);
  const folded = foldedWeight(convolution, norm, EPS);
  if (end !== "stem") return folded;
  const { from, make } = folded;
  return { from, make: (...all) => padded(make(...all)) };
}
