/**
 * After the keys and values of the last attention (or the state of the last
 * convolution), only the chunk's last token is needed. From there on one row is
 * computed, and chunks without logits stop.
 * @module
 */
import {
  type AttentionNode,
  type CausalConv1dNode,
  inputsOf,
} from "../../graph/node.ts";
import { ref } from "../buffer.ts";
import { ONE_ROW } from "../row_layout.ts";
import { REGISTER } from "../step.ts";
import type { Lowering } from "./context.ts";
import type { Floats } from "./value.ts";

/** Nodes that mix rows of different tokens. */
type Mixer = AttentionNode | CausalConv1dNode;

const behind = ({ nodes }: Lowering, node: Mixer) =>
  nodes.slice(nodes.indexOf(node) + 1);

/**
 * Whether only the last row is needed after a mixer: it is the last mixer, and
 * later nodes use no older values except streams.
 */
export function keepsLastRowOnly(l: Lowering, node: Mixer): boolean {
  if (l.options.phase !== "text" || l.options.layout.maxRows === 1) {
    return false;
  }
  const later = behind(l, node);
  const known = new Set([node.id, ...later.map((n) => n.id)]);
  return later.some((n) => n.op === "last_row") &&
    later.every((n) =>
      n.op !== "attention" && n.op !== "causal_conv1d" &&
      inputsOf(n).every((id) => known.has(id))
    );
}

/**
 * Reduces a mixer's input to its last row, and the streams that are read after
 * it.
 */
export function lastRowOf(l: Lowering, node: Mixer, q: Floats): Floats {
  l.tail = Math.min(l.tail, l.steps.length);
  const used = new Set(
    behind(l, node).map((n) => "stream" in n ? n.stream : ""),
  );
  for (const [name, stream] of l.streams) {
    if (!used.has(name)) continue;
    const { buffer, stride } = l.rows(
      `stream ${name}, last row`,
      ONE_ROW,
      stream.stride,
    );
    l.copy(
      name,
      ref(buffer),
      stride,
      ref(stream.buffer, 0, { register: REGISTER.last }, stream.stride * 4),
      stream.stride,
      stride,
      1,
      { split: false },
    );
    l.streams.set(name, {
      buffer,
      stride,
      layout: ONE_ROW,
      written: new Set([1]),
      version: stream.version + 1,
    });
  }
  return { ...q, layout: ONE_ROW, last: true };
}
