/**
 * Residual streams of a graph: their writers and readers. MQuant's transforms need
 * nothing else of a model (docs/method.md).
 * @module
 */
import {
  type ChannelScaleNode,
  consumersOf,
  index,
  type LinearNode,
  type Node,
  type NodeOf,
  type NormNode,
  type ResidualAddNode,
  type ResidualReadNode,
  widthOf,
} from "./node.ts";

/** A node whose value is added to a stream: its parameters can be changed offline, or it is a norm of another stream. */
export type Writer = NodeOf<typeof WRITERS[number]>;

const WRITERS = ["linear", "learned_embedding", "embedding", "norm"] as const;

const isWriter = (node: Node): node is Writer =>
  (WRITERS as readonly string[]).includes(node.op);

/**
 * A linear that uses a stream's value after a norm or a `residual_read`.
 */
export interface Reader {
  readonly linear: LinearNode;
  /** Stream rows per row of the linear's input (pixel shuffle). */
  readonly repeat: number;
  /** Explicit gain before the linear, where its weight is tied to an embedding and the norm's gain cannot be folded in. */
  readonly gain?: ChannelScaleNode;
}

/** A norm of a stream and the linears that use it; undefined where other ops use it, so that its value must not change. */
export interface NormRead {
  readonly norm: NormNode;
  readonly readers: readonly Reader[] | undefined;
}

/** A read of a stream without a norm, its mean included; readers as in `NormRead`. */
export interface PlainRead {
  readonly node: ResidualReadNode;
  readonly readers: readonly Reader[] | undefined;
}

/** A residual stream. */
export interface Stream {
  readonly name: string;
  readonly width: number;
  readonly writers: readonly Writer[];
  readonly normReads: readonly NormRead[];
  readonly plainReads: readonly PlainRead[];
  /** Whether a node that is no `Writer` adds to it: then nothing can be folded into its writers. */
  readonly opaque: boolean;
}

/**
 * Whether a stream must keep its mean although LayerNorms read it: it is also read
 * without a norm, or a norm writes to it, whose gain and bias add a mean.
 */
export function keepsMean({ plainReads, writers }: Stream): boolean {
  return plainReads.length > 0 || writers.some((w) => w.op === "norm");
}

/**
 * Linears that use the value `id`, directly or through nodes that only move rows or
 * scale channels; undefined where other ops use it.
 */
function readersOf(
  nodes: readonly Node[],
  id: string,
  repeat = 1,
  gain?: ChannelScaleNode,
): Reader[] | undefined {
  const all: Reader[] = [];
  for (const node of consumersOf(nodes, id)) {
    if (node.op === "linear") {
      all.push({ linear: node, repeat, ...gain ? { gain } : {} });
      continue;
    }
    let next: readonly [number, ChannelScaleNode | undefined] | undefined;
    if (node.op === "last_row" || node.op === "slice_rows") {
      next = [repeat, gain];
    } else if (node.op === "pixel_shuffle" && !gain) {
      next = [repeat * node.factor ** 2, undefined];
    } else if (node.op === "channel_scale" && !gain) next = [repeat, node];
    const some = next && readersOf(nodes, node.id, ...next);
    if (!some) return undefined;
    all.push(...some);
  }
  return all;
}

/** The nodes whose values a `residual_add` adds: its x, the inputs of a concat_rows, or the input of a concat_features in its columns. */
function partsOf(add: ResidualAddNode, byId: (id: string) => Node): Node[] {
  const x = byId(add.x);
  if (x.op === "concat_rows") return x.xs.map(byId);
  if (x.op !== "concat_features") return [x];
  let at = 0;
  for (const id of x.xs) {
    const part = byId(id), width = widthOf(part, byId)!;
    if (at === add.columns?.[0] && width === add.columns[1]) return [part];
    at += width;
  }
  throw new RangeError(
    `Cannot treat "${add.id}" as the addition of one value: it takes columns [${add.columns}] of "${x.id}"`,
  );
}

/** The streams of a graph, in the order of their first addition. */
export function streamsOf(nodes: readonly Node[]): Stream[] {
  const byId = index(nodes);
  const names = new Set(
    nodes.flatMap((n) => (n.op === "residual_add" ? [n.stream] : [])),
  );
  return [...names].map((name) => {
    const of = <O extends "residual_add" | "residual_read" | "norm">(op: O) =>
      nodes.filter((n): n is NodeOf<O> =>
        n.op === op && "stream" in n && n.stream === name
      );
    const added = of("residual_add").flatMap((n) => partsOf(n, byId));
    const scale = added.find((x) => x.op === "channel_scale");
    if (scale) {
      throw new RangeError(
        `Cannot treat "${scale.id}" as a writer of stream "${name}": run fold-gains first`,
      );
    }
    const writers = added.filter(isWriter);
    const normReads = of("norm").map((norm) => ({
      norm,
      readers: readersOf(nodes, norm.id),
    }));
    const plainReads = of("residual_read").map((node) => ({
      node,
      readers: readersOf(nodes, node.id),
    }));
    return {
      name,
      width: normReads[0]?.norm.width ?? plainReads[0]?.node.width ?? 0,
      writers,
      normReads,
      plainReads,
      opaque: writers.length < added.length,
    };
  });
}
