/**
 * A model as data: a flat list of nodes in execution order, and the parameters they
 * name. The interpreter runs the list in float, the quantization passes rewrite it,
 * the planner lowers it to kernels, and the model file stores it as JSON. The ops are
 * described in ops/.
 *
 * There are two phases. `vision` runs once per image: patches → image rows of the text
 * stream. `text` runs once per chunk of tokens: rows → logits. A *stream* is a
 * residual stream: `residual_add` adds to it, `norm` reads it through a norm.
 * Centering, folding and rotation depend only on the writers and readers of streams,
 * so no pass depends on a model family.
 * @module
 */
import type { Tensor } from "../tensor/tensor.ts";
import { defaultGrid, patchesIn } from "./grid.ts";
import type { Fields } from "./field.ts";
import { imageInfoOf, type ModelInfo } from "./info.ts";
import { type Node, OPS, recordOf, type SiteNode } from "./ops/mod.ts";
import type { Modality } from "./phase.ts";

export type { Node, SiteNode };

/** The nodes of one op. */
export type NodeOf<O extends Node["op"]> = Extract<Node, { readonly op: O }>;

/** Node of the op `patch_input`. */
export type PatchInputNode = NodeOf<"patch_input">;
/** Node of the op `learned_embedding`. */
export type LearnedEmbeddingNode = NodeOf<"learned_embedding">;
/** Node of the op `embedding`. */
export type EmbeddingNode = NodeOf<"embedding">;
/** Node of the op `linear`. */
export type LinearNode = NodeOf<"linear">;
/** Node of the op `depthwise_conv2d`. */
export type DepthwiseConv2dNode = NodeOf<"depthwise_conv2d">;
/** Node of the op `norm`. */
export type NormNode = NodeOf<"norm">;
/** Node of the op `qk_norm`. */
export type QkNormNode = NodeOf<"qk_norm">;
/** Node of the op `residual_add`. */
export type ResidualAddNode = NodeOf<"residual_add">;
/** Node of the op `residual_read`. */
export type ResidualReadNode = NodeOf<"residual_read">;
/** Node of the op `attention`. */
export type AttentionNode = NodeOf<"attention">;
/** Node of the op `causal_conv1d`. */
export type CausalConv1dNode = NodeOf<"causal_conv1d">;
/** Node of the op `activation`. */
export type ActivationNode = NodeOf<"activation">;
/** Node of the op `channel_scale`. */
export type ChannelScaleNode = NodeOf<"channel_scale">;
/** Node of the op `hadamard`. */
export type HadamardNode = NodeOf<"hadamard">;
/** Node of the op `pixel_shuffle`. */
export type PixelShuffleNode = NodeOf<"pixel_shuffle">;
/** Node of the op `concat_features`. */
export type ConcatFeaturesNode = NodeOf<"concat_features">;
/** Node of the op `concat_rows`. */
export type ConcatRowsNode = NodeOf<"concat_rows">;
/** Node of the op `slice_rows`. */
export type SliceRowsNode = NodeOf<"slice_rows">;
/** Node of the op `last_row`. */
export type LastRowNode = NodeOf<"last_row">;

/** A float model: its nodes in execution order, the last of which computes the logits, and its parameters by name. */
export interface Model {
  readonly info: ModelInfo;
  readonly nodes: readonly Node[];
  readonly params: ReadonlyMap<string, Tensor>;
}

/** Fields of each op that name values or tensors; a table, because passes read it millions of times. */
const NAMING = new Map(
  Object.values(OPS).map(({ op, fields }) => {
    const keys = (names: "values" | "tensor") =>
      Object.entries(fields as Fields)
        .filter(([, field]) => field.names === names).map(([key]) => key);
    return [op as string, { values: keys("values"), tensor: keys("tensor") }];
  }),
);

/** Names in the fields of a node: ids of values, or tensors. */
function namesOf(node: Node, names: "values" | "tensor"): string[] {
  const all = node as unknown as Record<string, string | string[] | undefined>;
  const found: string[] = [];
  for (const key of NAMING.get(node.op)![names]) {
    const given = all[key];
    if (typeof given === "string") found.push(given);
    else if (given !== undefined) found.push(...given);
  }
  return found;
}

/** Ids of the values that a node uses, in the order of its fields. */
export function inputsOf(node: Node): readonly string[] {
  return namesOf(node, "values");
}

/** Input channels of a quantization site. */
export function channelsIn(node: SiteNode): number {
  return node.op === "linear" ? node.k : node.width;
}

/** Whether channel 0 of a site's input stays in float. */
export function splitsChannel0(node: SiteNode): boolean {
  return node.op === "linear" && node.floatChannel0 === true;
}

/** Names of the parameters of a node. */
export function paramsOf(node: Node): readonly string[] {
  return namesOf(node, "tensor");
}

/** A copy of the node with the ids of its inputs mapped by `input`. */
export function withInputs<N extends Node>(
  node: N,
  input: (id: string) => string,
): N {
  const changed: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(recordOf(node).fields)) {
    const given = (node as Record<string, unknown>)[key];
    if (field.names !== "values" || given === undefined) continue;
    changed[key] = Array.isArray(given)
      ? given.map(input)
      : input(given as string);
  }
  return { ...node, ...changed };
}

/** Channels of a node's value; undefined for a `residual_add`, which has no value. */
export function widthOf(
  node: Node,
  byId: (id: string) => Node,
): number | undefined {
  const record = recordOf(node);
  return record.width
    ? record.width(node, (id) => widthOf(byId(id), byId) ?? NaN)
    : (node as { width?: number }).width;
}

/** The modality of a text-phase value that has only the rows of one modality; undefined where it has all rows. */
export function modalityOf(
  node: Node,
  byId: (id: string) => Node,
): Modality | undefined {
  while (recordOf(node).rowwise) {
    if (node.op === "linear" && node.modality) return node.modality;
    node = byId(inputsOf(node)[0]);
  }
  return undefined;
}

/** Rows per image of a vision-phase value; undefined where they follow from the patches of the image. */
export function rowsPerImageOf(
  nodes: readonly Node[],
  id: string,
): number | undefined {
  const byId = index(nodes);
  const first = (node?: Node): number | undefined => {
    const [x] = node ? inputsOf(node) : [];
    return x === undefined ? undefined : value(x);
  };
  const value = (id: string): number | undefined => {
    const node = byId(id), { rows } = recordOf(node);
    return rows ? rows(node, { value, stream }) : first(node);
  };
  const stream = (name: string) =>
    first(nodes.find((n) => n.op === "residual_add" && n.stream === name));
  return value(id);
}

/** Rows after the patches of an image that hold no pixels (class tokens). */
export function extraRows(nodes: readonly Node[]): number {
  return nodes.find((n) => n.op === "patch_input")?.extraRows ?? 0;
}

/** Rows per image at the start of the vision phase, at the model's image size. */
export function rowsPerImage(nodes: readonly Node[], info: ModelInfo): number {
  return patchesIn(defaultGrid(imageInfoOf(info))) + extraRows(nodes);
}

/** Nodes by id; the returned function throws a RangeError for an unknown id. */
export function index(nodes: readonly Node[]): (id: string) => Node {
  const map = new Map(nodes.map((n) => [n.id, n]));
  return (id) => {
    const node = map.get(id);
    if (!node) throw new RangeError(`Cannot find node "${id}" in the graph`);
    return node;
  };
}

/** `consumersOf` as a table, for many queries. */
export function consumersIn(
  nodes: readonly Node[],
): (id: string) => readonly Node[] {
  const map = new Map<string, Node[]>();
  for (const node of nodes) {
    for (const id of new Set(inputsOf(node))) {
      const known = map.get(id);
      if (known) known.push(node);
      else map.set(id, [node]);
    }
  }
  return (id) => map.get(id) ?? [];
}

/** Nodes that use the value `id`. */
export function consumersOf(nodes: readonly Node[], id: string): Node[] {
  return nodes.filter((n) => inputsOf(n).includes(id));
}

/** Window size of the graph's window attention, in patches; undefined without windows. */
export function windowOf(nodes: readonly Node[]): number | undefined {
  for (const n of nodes) {
    if (n.op === "attention" && n.windowSize) return n.windowSize;
  }
  return undefined;
}

/** The node that computes the logits: the last one. Throws a RangeError where it is no linear. */
export function logitsOf(nodes: readonly Node[]): LinearNode {
  const last = nodes.at(-1);
  if (last?.op !== "linear") {
    throw new RangeError(
      `Cannot run the graph: its last node must be the head, a linear; it is ${
        last?.op ?? "missing"
      }`,
    );
  }
  return last;
}
