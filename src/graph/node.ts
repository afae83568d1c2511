/**
 * A model as data: one flat list of nodes in the order they run, and the
 * parameters they name. The interpreter runs the list in float, the observer
 * watches it, the passes rewrite it, the planner lowers it to kernels, and the
 * model file carries it as JSON; nobody writes a forward pass twice. What each op
 * is stands in ops/.
 *
 * Two phases. `vision` runs once per image: patches → rows of the text stream.
 * `text` runs once per chunk of tokens: rows → logits. A *stream* is a residual
 * stream: `residual_add` adds to it, `norm` takes it through a norm. What writes
 * a stream and what reads it is all that centering, folding and rotating need to
 * know, so no pass knows a model's name.
 * @module
 */
import type { Tensor } from "../tensor/tensor.ts";
import { ownGrid, patchesIn } from "./grid.ts";
import type { Fields } from "./field.ts";
import { imageInfoOf, type ModelInfo } from "./info.ts";
import { type Node, OPS, recordOf, type SiteNode } from "./ops/mod.ts";
import type { Modality } from "./phase.ts";

export type { Node, SiteNode };

/** The nodes of one op. */
export type NodeOf<O extends Node["op"]> = Extract<Node, { readonly op: O }>;

export type PatchInputNode = NodeOf<"patch_input">;
export type LearnedEmbeddingNode = NodeOf<"learned_embedding">;
export type EmbeddingNode = NodeOf<"embedding">;
export type LinearNode = NodeOf<"linear">;
export type DepthwiseConv2dNode = NodeOf<"depthwise_conv2d">;
export type NormNode = NodeOf<"norm">;
export type QkNormNode = NodeOf<"qk_norm">;
export type ResidualAddNode = NodeOf<"residual_add">;
export type ResidualReadNode = NodeOf<"residual_read">;
export type AttentionNode = NodeOf<"attention">;
export type CausalConv1dNode = NodeOf<"causal_conv1d">;
export type ActivationNode = NodeOf<"activation">;
export type ChannelScaleNode = NodeOf<"channel_scale">;
export type HadamardNode = NodeOf<"hadamard">;
export type PixelShuffleNode = NodeOf<"pixel_shuffle">;
export type ConcatFeaturesNode = NodeOf<"concat_features">;
export type ConcatRowsNode = NodeOf<"concat_rows">;
export type SliceRowsNode = NodeOf<"slice_rows">;
export type LastRowNode = NodeOf<"last_row">;

/** A model: its nodes in running order, the last of which makes the logits, and its parameters. */
export interface Model {
  readonly info: ModelInfo;
  readonly nodes: readonly Node[];
  readonly params: ReadonlyMap<string, Tensor>;
}

/** Fields of each op that name values, or tensors: passes ask for them millions of times. */
const NAMING = new Map(
  Object.values(OPS).map(({ op, fields }) => {
    const keys = (names: "values" | "tensor") =>
      Object.entries(fields as Fields)
        .filter(([, field]) => field.names === names).map(([key]) => key);
    return [op as string, { values: keys("values"), tensor: keys("tensor") }];
  }),
);

/** What the fields of a node name: ids of values, or tensors. */
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

/** Values a node consumes, in the order of its fields. */
export function inputsOf(node: Node): readonly string[] {
  return namesOf(node, "values");
}

/** Channels of the value that enters at a site. */
export function channelsIn(node: SiteNode): number {
  return node.op === "linear" ? node.k : node.width;
}

/** Whether channel 0 of what enters a site stays in float. */
export function splitsChannel0(node: SiteNode): boolean {
  return node.op === "linear" && node.floatChannel0 === true;
}

/** Parameters a node names. */
export function paramsOf(node: Node): readonly string[] {
  return namesOf(node, "tensor");
}

/** The node with other inputs. */
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

/** Channels of the value a node makes; undefined for a `residual_add`, which makes none. */
export function widthOf(
  node: Node,
  byId: (id: string) => Node,
): number | undefined {
  const record = recordOf(node);
  return record.width
    ? record.width(node, (id) => widthOf(byId(id), byId) ?? NaN)
    : (node as { width?: number }).width;
}

/** The modality whose rows alone a value of the text phase has; undefined where it has all, or none apart. */
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

/** Rows that a value of the vision phase has for each image, where they do not follow from its patches. */
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

/** Rows behind the patches of an image that hold no pixels. */
export function extraRows(nodes: readonly Node[]): number {
  return nodes.find((n) => n.op === "patch_input")?.extraRows ?? 0;
}

/** Rows that an image of the tower's own size has at the start of the vision phase. */
export function rowsPerImage(nodes: readonly Node[], info: ModelInfo): number {
  return patchesIn(ownGrid(imageInfoOf(info))) + extraRows(nodes);
}

/** Node by id. */
export function index(nodes: readonly Node[]): (id: string) => Node {
  const map = new Map(nodes.map((n) => [n.id, n]));
  return (id) => {
    const node = map.get(id);
    if (!node) throw new RangeError(`Cannot find node "${id}" in the graph`);
    return node;
  };
}

/** Consumers by value, for who asks about many: as `consumersOf`, found once. */
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

/** Nodes that consume the value `id`. */
export function consumersOf(nodes: readonly Node[], id: string): Node[] {
  return nodes.filter((n) => inputsOf(n).includes(id));
}

/** Side of the windows of a graph's attention, in patches, where it has some. */
export function windowOf(nodes: readonly Node[]): number | undefined {
  for (const n of nodes) {
    if (n.op === "attention" && n.windowSize) return n.windowSize;
  }
  return undefined;
}

/** The node whose value is the logits: the last of the text phase. */
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
