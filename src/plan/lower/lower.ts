/**
 * Lowers a phase of the graph to kernel calls. Each node becomes a value that is
 * written down only when someone needs it, and in the layout needed: float rows or
 * int8 codes. That is where fusion comes from.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { tokensIn } from "../../graph/grid.ts";
import { imageInfoOf } from "../../graph/info.ts";
import type { Node, ResidualAddNode } from "../../graph/node.ts";
import type { Store } from "../buffer.ts";
import type { StaticModel } from "../../graph/static_model.ts";
import { lowerAttention } from "./attention.ts";
import { lowerCausalConv1d } from "./causal_conv1d.ts";
import { type Lowered, Lowering, type LowerOptions } from "./context.ts";
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

/** The value a phase is run for; it must outlive all steps. */
function resultOf(l: Lowering): Lowered["result"] {
  const bridge = l.model.nodes.find((n) =>
    n.op === "residual_add" && n.phase === "text" && n.modality === "vision"
  ) as ResidualAddNode | undefined;
  const id = l.options.phase === "text" ? l.nodes.at(-1)!.id : bridge?.x;
  if (id === undefined) {
    throw l.error("the text phase takes in no image rows");
  }
  const value = floatsOf(l, id);
  if (value.column !== 0) throw l.error(`${quoted(id)} shares its rows`);
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

function lowerNode(l: Lowering, node: Node): void {
  switch (node.op) {
    case "patch_input": {
      const { patches } = l.options;
      const layout = node.extraRows ? fixedRows(patches, 0) : l.options.layout;
      l.values.set(node.id, { kind: "patches", layout });
      return;
    }
    case "learned_embedding":
      l.values.set(node.id, lowerLearnedEmbedding(l, node));
      return;
    case "embedding":
      return; // placed by the write that takes it
    case "linear":
      return lowerLinear(l, node);
    case "residual_add":
      return lowerResidualAdd(l, node);
    case "norm":
      return lowerNorm(l, node);
    case "residual_read":
      return lowerResidualRead(l, node);
    case "attention":
      l.values.set(node.id, lowerAttention(l, node));
      return;
    case "causal_conv1d":
      l.values.set(node.id, lowerCausalConv1d(l, node));
      return;
    case "activation":
      l.values.set(node.id, {
        kind: "activation",
        node,
        layout: l.value(node.x).layout,
      });
      return;
    case "hadamard":
      return lowerHadamard(
        l,
        node.id,
        node.x,
        node.rotation,
        node.inverse === true,
      );
    case "channel_scale":
      return lowerChannelScale(l, node.id, node.x, node.weight);
    case "qk_norm":
      l.values.set(node.id, lowerQkNorm(l, node));
      return;
    case "pixel_shuffle":
      l.values.set(node.id, lowerPixelShuffle(l, node));
      return;
    case "concat_features":
      l.values.set(node.id, lowerConcatFeatures(l, node));
      return;
    case "concat_rows":
      l.values.set(node.id, lowerConcatRows(l, node));
      return;
    case "slice_rows":
      return lowerSliceRows(l, node);
    case "last_row":
      return lowerLastRow(l, node.id, node.x);
  }
}
