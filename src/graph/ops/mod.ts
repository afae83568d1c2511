/**
 * All ops, by name. A new op is a record in this folder, a line here, its
 * lowering and its kernel.
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

/** The records, in the order of docs/format.md. */
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

/** Any node. */
export type Node = NodeOf<typeof OPS[keyof typeof OPS]>;

/** A node that reads a quantization site. */
export type SiteNode = NodeOf<typeof linear> | DepthwiseConv2dNode;

/** What a watcher may see and replace while a graph runs. */
export type Hooks = SiteHooks<SiteNode> & AttentionHooks & RowHooks;

/** The record of a node's op. */
export function recordOf({ op }: Pick<Node, "op">): Op {
  return OPS[op] as unknown as Op;
}
