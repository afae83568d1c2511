/**
 * Residual streams of a graph: who writes them, who reads them. This is all
 * that MQuant's transforms need to know about a model (method §4–5).
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

/** A node whose value is added to a stream: one that can be changed offline, or a norm of another stream. */
export type Writer = NodeOf<typeof WRITERS[number]>;

const WRITERS = ["linear", "learned_embedding", "embedding", "norm"] as const;

const isWriter = (node: Node): node is Writer =>
  (WRITERS as readonly string[]).includes(node.op);

/**
 * A linear behind a read, how many stream rows are side by side in its input,
 * and the explicit gain between them where the linear's weight is shared with
 * an embedding and could not take the norm's gain in.
 */
export interface Reader {
  readonly linear: LinearNode;
  readonly repeat: number;
  readonly gain?: ChannelScaleNode;
}

/** One read of a stream and the linears behind it; undefined where something else takes its value, which then must stay what it is. */
export interface NormRead {
  readonly norm: NormNode;
  readonly readers: readonly Reader[] | undefined;
}

/** Who takes a stream as it stands, its mean included, and the linears behind as in a `Reading`. */
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
  /** Whether a value that is no `Writer`'s is written to it: then nothing can be folded into its writers. */
  readonly opaque: boolean;
}

/**
 * Whether a stream keeps its mean though LayerNorms read it: somebody takes it
 * as it stands, or a norm writes to it, whose gain and bias bring a mean in.
 */
export function keepsMean({ plainReads, writers }: Stream): boolean {
  return plainReads.length > 0 || writers.some((w) => w.op === "norm");
}

/**
 * Linears that see the value `id` of a stream's width, through nodes that only
 * move rows or scale channels; undefined where something else looks at the value.
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

/** What a write adds: its x, the values stacked there, or the value in x's columns that it takes. */
function partsOf(write: ResidualAddNode, byId: (id: string) => Node): Node[] {
  const x = byId(write.x);
  if (x.op === "concat_rows") return x.xs.map(byId);
  if (x.op !== "concat_features") return [x];
  let at = 0;
  for (const id of x.xs) {
    const part = byId(id), width = widthOf(part, byId)!;
    if (at === write.columns?.[0] && width === write.columns[1]) return [part];
    at += width;
  }
  throw new RangeError(
    `Cannot treat "${write.id}" as a write of one value: it takes columns [${write.columns}] of "${x.id}"`,
  );
}

/** The streams of a graph, in the order of their first write. */
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
        `Cannot treat "${scale.id}" as a writer of stream "${name}": fold-gains must come first`,
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
