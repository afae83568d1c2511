/**
 * All ops by name. To add an op, write its record in this folder, list it here, and
 * write its lowering and kernel (docs/adding-a-model.md).
 * @module
 */
import type { NodeOf, Op } from "../op.ts";
import { attention, type AttentionHooks } from "./attention.ts";
import { causal_conv1d } from "./causal_conv1d.ts";
import { depthwise_conv2d, type DepthwiseConv2dNode } from "./conv2d.ts";
import { embedding, learned_embedding, patch_input } from "./input.ts";
import { linear } from "./linear.ts";
import { activation, channel_scale, hadamard } from "./pointwise.ts";
import { norm, qk_norm, residual_add, residual_read } from "./residual.ts";
import {
  concat_features,
  concat_rows,
  last_row,
  pixel_shuffle,
  type RowHooks,
  slice_rows,
} from "./rows.ts";
import type { SiteHooks } from "./site.ts";

/** The records of all ops, in the order of docs/format.md. */
export const OPS = {
  patch_input,
  learned_embedding,
  embedding,
  linear,
  depthwise_conv2d,
  norm,
  qk_norm,
  residual_add,
  residual_read,
  attention,
  causal_conv1d,
  activation,
  channel_scale,
  hadamard,
  pixel_shuffle,
  concat_features,
  concat_rows,
  slice_rows,
  last_row,
};

/** A node of any op. */
export type Node = NodeOf<typeof OPS[keyof typeof OPS]>;

/** A node with a quantized input (a quantization site). */
export type SiteNode = NodeOf<typeof linear> | DepthwiseConv2dNode;

/** Hooks of calibration: they observe and replace values while a graph runs. */
export type Hooks = SiteHooks<SiteNode> & AttentionHooks & RowHooks;

/** The op record of a node. */
export function recordOf({ op }: Pick<Node, "op">): Op {
  return OPS[op] as unknown as Op;
}
