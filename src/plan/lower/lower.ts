/**
 * Lowers a phase of the graph to kernel calls. The value of a node is computed only
 * when another node uses it, in the layout that it needs: float rows or int8 values.
 * This fuses norms, activations and rotations with quantization.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { tokensIn } from "../../graph/grid.ts";
import { imageInfoOf } from "../../graph/info.ts";
import type {
  Node,
  PatchInputNode,
  ResidualAddNode,
} from "../../graph/node.ts";
import type { Store } from "../buffer.ts";
import type { StaticModel } from "../../graph/static_model.ts";
import { lowerAttention } from "./attention.ts";
import { lowerCausalConv1d } from "./causal_conv1d.ts";
import { type Lowered, Lowering, type LowerOptions } from "./context.ts";
import { lowerDepthwiseConv2d } from "./conv2d.ts";
import { floatsOf } from "./floats.ts";
import { lowerLinear } from "./matmul.ts";
import { fixedRows } from "../row_layout.ts";
import {
  lowerChannelScale,
  lowerConcatFeatures,
  lowerConcatRows,
  lowerHadamard,
  lowerLastRow,
  lowerLearnedEmbedding,
  lowerPixelShuffle,
  lowerQkNorm,
  lowerSliceRows,
} from "./rows.ts";
import { lowerNorm, lowerResidualAdd, lowerResidualRead } from "./stream.ts";
import type { Value } from "./value.ts";

/** Lowers one phase. */
export function lower(
  model: StaticModel,
  store: Store,
  options: LowerOptions,
): Lowered {
  return run(new Lowering(model, store, options));
}

function run(l: Lowering): Lowered {
  for (const node of l.nodes) lowerNode(l, node);
  const result = resultOf(l);
  l.close();
  return {
    steps: l.steps,
    tail: Math.min(l.tail, l.steps.length),
    arena: l.arena,
    result,
    grids: l.grids,
    ...(l.images ? { images: l.images } : {}),
  };
}

/** The result of a phase: image rows or logits. Its buffer outlives all steps. */
function resultOf(l: Lowering): Lowered["result"] {
  const bridge = l.model.nodes.find((n) =>
    n.op === "residual_add" && n.phase === "text" && n.modality === "vision"
  ) as ResidualAddNode | undefined;
  const id = l.options.phase === "text" ? l.nodes.at(-1)!.id : bridge?.x;
  if (id === undefined) {
    throw l.error("the text phase must use image rows: it uses none");
  }
  const value = floatsOf(l, id);
  if (value.column !== 0) {
    throw l.error(`${quoted(id)} must not share its rows with other values`);
  }
  const want = l.options.phase === "text"
    ? 1
    : tokensIn(imageInfoOf(l.model.info), { rows: 1, cols: l.options.patches });
  if (value.layout.maxRows !== want) {
    throw l.error(
      `${quoted(id)} must have ${want} rows: it has ${value.layout.maxRows}`,
    );
  }
  value.buffer.last = l.steps.length;
  return { buffer: value.buffer, stride: value.stride };
}

/** The lowering of each op. It returns the node's value, or sets it and returns nothing. */
type Lowerings = {
  readonly [O in Node["op"]]: (
    l: Lowering,
    node: Extract<Node, { readonly op: O }>,
  ) => Value | void;
};

/** Lowerings by op (src/graph/ops/). */
const LOWERINGS: Lowerings = {
  patch_input: lowerPatchInput,
  learned_embedding: lowerLearnedEmbedding,
  embedding: () => {}, // its residual_add emits it
  linear: lowerLinear,
  depthwise_conv2d: lowerDepthwiseConv2d,
  norm: lowerNorm,
  qk_norm: lowerQkNorm,
  residual_add: lowerResidualAdd,
  residual_read: lowerResidualRead,
  attention: lowerAttention,
  causal_conv1d: lowerCausalConv1d,
  activation: (l, node) => {
    const { layout } = l.value(node.x);
    return { kind: "activation", node, layout };
  },
  channel_scale: lowerChannelScale,
  hadamard: lowerHadamard,
  pixel_shuffle: lowerPixelShuffle,
  concat_features: lowerConcatFeatures,
  concat_rows: lowerConcatRows,
  slice_rows: lowerSliceRows,
  last_row: lowerLastRow,
};

function lowerNode(l: Lowering, node: Node): void {
  const lowering = LOWERINGS[node.op] as (
    l: Lowering,
    node: Node,
  ) => Value | void;
  const value = lowering(l, node);
  if (value) l.values.set(node.id, value);
}

function lowerPatchInput(l: Lowering, node: PatchInputNode): Value {
  const { patches, layout } = l.options, { extraRows } = node;
  return {
    kind: "patches",
    node,
    layout: extraRows ? fixedRows(patches, 0) : layout,
  };
}
