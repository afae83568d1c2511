/**
 * Residual streams of a graph: who writes them, who reads them. This is all
 * that MQuant's transforms need to know about a model (method §4–5).
 * @module
 */
import {
  consumersOf,
  type EmbedNode,
  type GainNode,
  index,
  type LinearNode,
  type Node,
  type PeekNode,
  type ReadNode,
  type TableNode,
  widthOf,
  type WriteNode,
} from "./node.ts";

/** A node whose value is added to a stream. */
export type Writer = LinearNode | TableNode | EmbedNode;

/**
 * A linear behind a read, how many stream rows are side by side in its input,
 * and the explicit gain between them where the linear's weight is shared with
 * an embedding and could not take the norm's gain in.
 */
export interface Reader {
  readonly linear: LinearNode;
  readonly repeat: number;
  readonly gain?: GainNode;
}

/** One read of a stream and the linears behind it. */
export interface Reading {
  readonly read: ReadNode;
  readonly readers: readonly Reader[];
}

/** A residual stream. */
export interface Stream {
  readonly name: string;
  readonly width: number;
  readonly writers: readonly Writer[];
  readonly readings: readonly Reading[];
  /** Who takes the stream as it stands, its mean included. */
  readonly peeks: readonly PeekNode[];
  /** Whether a value that is no linear's, table's or embedding's is written to it: then nothing can be folded into its writers. */
  readonly opaque: boolean;
}

/**
 * Linears that see the value `id` of a stream's width, through nodes that only
 * move rows about.
 * @throws {RangeError} where something else looks at the value: a pass that
 * rotates the stream would change what it sees.
 */
function readersOf(
  nodes: readonly Node[],
  id: string,
  repeat: number,
  gain?: GainNode,
): Reader[] {
  return consumersOf(nodes, id).flatMap((node): Reader[] => {
    switch (node.op) {
      case "linear":
        return [
          gain ? { linear: node, repeat, gain } : { linear: node, repeat },
        ];
      case "gain":
        return readersOf(nodes, node.id, repeat, node);
      case "shuffle":
        return readersOf(nodes, node.id, repeat * node.factor ** 2);
      case "last":
        return readersOf(nodes, node.id, repeat);
      default:
        throw new RangeError(
          `Cannot treat "${node.id}" (${node.op}) as a reader of a stream: only linears, gain, shuffle and last may follow a read`,
        );
    }
  });
}

/** What a write adds: its x, or the value in x's columns that it takes. */
function partOf(write: WriteNode, byId: (id: string) => Node): Node {
  const x = byId(write.x);
  if (x.op !== "join") return x;
  let at = 0;
  for (const id of x.xs) {
    const part = byId(id), width = widthOf(part, byId)!;
    if (at === write.part?.[0] && width === write.part[1]) return part;
    at += width;
  }
  throw new RangeError(
    `Cannot treat "${write.id}" as a write of one value: it takes columns [${write.part}] of "${x.id}"`,
  );
}

/** The streams of a graph, in the order of their first write. */
export function streamsOf(nodes: readonly Node[]): Stream[] {
  const byId = index(nodes);
  const names = new Set(
    nodes.flatMap((n) => (n.op === "write" ? [n.stream] : [])),
  );
  return [...names].map((name) => {
    const writers: Writer[] = [];
    const readings: Reading[] = [];
    const peeks: PeekNode[] = [];
    let opaque = false;
    for (const node of nodes) {
      if (node.op === "write" && node.stream === name) {
        const x = partOf(node, byId);
        if (x.op === "gain") {
          throw new RangeError(
            `Cannot treat "${x.id}" as a writer of stream "${name}": fold-gains must come first`,
          );
        }
        if (x.op === "linear" || x.op === "table" || x.op === "embed") {
          writers.push(x);
        } else {
          opaque = true;
        }
      }
      if (node.op === "peek" && node.stream === name) peeks.push(node);
      if (node.op === "read" && node.stream === name) {
        readings.push({ read: node, readers: readersOf(nodes, node.id, 1) });
      }
    }
    const width = readings[0]?.read.width ?? 0;
    return { name, width, writers, readings, peeks, opaque };
  });
}
