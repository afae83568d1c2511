/**
 * Residual streams of a graph: who writes them, who reads them. This is all
 * that MQuant's transforms need to know about a model (method §4–5).
 * @module
 */
import {
  type ChannelScaleNode,
  consumersOf,
  type EmbeddingNode,
  index,
  type LearnedEmbeddingNode,
  type LinearNode,
  type Node,
  type NormNode,
  type ResidualAddNode,
  type ResidualReadNode,
  widthOf,
} from "./node.ts";

/** A node whose value is added to a stream: one that can be changed offline, or a norm of another stream. */
export type Writer =
  | LinearNode
  | LearnedEmbeddingNode
  | EmbeddingNode
  | NormNode;

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
 * move rows about; undefined where something else looks at the value.
 */
function readersOf(
  nodes: readonly Node[],
  id: string,
  repeat: number,
  gain?: ChannelScaleNode,
): Reader[] | undefined {
  const all: Reader[] = [];
  for (const node of consumersOf(nodes, id)) {
    let some: Reader[] | undefined;
    switch (node.op) {
      case "linear":
        some = [
          gain ? { linear: node, repeat, gain } : { linear: node, repeat },
        ];
        break;
      case "channel_scale":
        some = readersOf(nodes, node.id, repeat, node);
        break;
      case "pixel_shuffle":
        some = readersOf(nodes, node.id, repeat * node.factor ** 2);
        break;
      case "last_row":
      case "slice_rows":
        some = readersOf(nodes, node.id, repeat);
        break;
    }
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
    const writers: Writer[] = [];
    const normReads: NormRead[] = [];
    const plainReads: PlainRead[] = [];
    let opaque = false;
    for (const node of nodes) {
      if (node.op === "residual_add" && node.stream === name) {
        for (const x of partsOf(node, byId)) {
          if (x.op === "channel_scale") {
            throw new RangeError(
              `Cannot treat "${x.id}" as a writer of stream "${name}": fold-gains must come first`,
            );
          }
          if (
            x.op === "linear" || x.op === "learned_embedding" ||
            x.op === "embedding" ||
            x.op === "norm"
          ) {
            writers.push(x);
          } else {
            opaque = true;
          }
        }
      }
      if (node.op === "residual_read" && node.stream === name) {
        plainReads.push({ node, readers: readersOf(nodes, node.id, 1) });
      }
      if (node.op === "norm" && node.stream === name) {
        normReads.push({ norm: node, readers: readersOf(nodes, node.id, 1) });
      }
    }
    const width = normReads[0]?.norm.width ?? plainReads[0]?.node.width ?? 0;
    return { name, width, writers, normReads, plainReads, opaque };
  });
}
