/**
 * After the keys and values of the last attention (or the state of the last causal
 * convolution) only the chunk's last token is needed. From there on one row is
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

/** A node that mixes rows of different tokens. */
type Mixer = AttentionNode | CausalConv1dNode;

const after = ({ nodes }: Lowering, node: Mixer) =>
  nodes.slice(nodes.indexOf(node) + 1);

/** Whether only the last row is needed after a mixer: it is the last mixer, and later nodes use no earlier values except streams. */
export function keepsLastRowOnly(l: Lowering, node: Mixer): boolean {
  if (l.options.phase !== "text" || l.options.layout.maxRows === 1) {
    return false;
  }
  const later = after(l, node);
  const known = new Set([node.id, ...later.map((n) => n.id)]);
  return later.some((n) => n.op === "last_row") &&
    later.every((n) =>
      n.op !== "attention" && n.op !== "causal_conv1d" &&
      inputsOf(n).every((id) => known.has(id))
    );
}

/** The last row of a mixer's input; the streams that later nodes read are reduced to that row. */
export function lastRowOf(l: Lowering, node: Mixer, q: Floats): Floats {
  l.tail = Math.min(l.tail, l.steps.length);
  const used = new Set(
    after(l, node).map((n) => "stream" in n ? n.stream : ""),
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
