/**
 * Behind the keys and values of the last attention, or what the last convolution
 * keeps, only the chunk's last token matters: from there on one row goes on, and
 * chunks that need no logits stop.
 * @module
 */
import {
  type AttentionNode,
  type CausalConv1dNode,
  inputsOf,
} from "../../graph/node.ts";
import { ref } from "../buffer.ts";
import { SINGLE } from "../form.ts";
import { REGISTER } from "../step.ts";
import type { Lowering } from "./context.ts";
import type { Floats } from "./value.ts";

/** Where rows of different tokens meet. */
type Mixer = AttentionNode | CausalConv1dNode;

const behind = ({ nodes }: Lowering, node: Mixer) =>
  nodes.slice(nodes.indexOf(node) + 1);

/** Whether only one row must go on behind a mixer: it is the last, and what follows needs nothing older but streams. */
export function narrows(l: Lowering, node: Mixer): boolean {
  if (l.options.phase !== "text" || l.options.form.most === 1) return false;
  const later = behind(l, node);
  const known = new Set([node.id, ...later.map((n) => n.id)]);
  return later.some((n) => n.op === "last_row") &&
    later.every((n) =>
      n.op !== "attention" && n.op !== "causal_conv1d" &&
      inputsOf(n).every((id) => known.has(id))
    );
}

/** The last row of a value that a mixer takes; streams that go on behind it do so as that row, too. */
export function narrowed(l: Lowering, node: Mixer, q: Floats): Floats {
  l.tail = Math.min(l.tail, l.steps.length);
  const used = new Set(
    behind(l, node).map((n) => "stream" in n ? n.stream : ""),
  );
  for (const [name, stream] of l.streams) {
    if (!used.has(name)) continue;
    const { buffer, stride } = l.rows(
      `stream ${name}, last row`,
      SINGLE,
      stream.stride,
    );
    l.emit(
      "copy_f32",
      name,
      [
        ref(buffer),
        stride,
        ref(stream.buffer, 0, { register: REGISTER.last }, stream.stride * 4),
        stream.stride,
        stride,
        0,
        1,
      ],
      1,
      stride,
    );
    l.streams.set(name, {
      buffer,
      stride,
      form: SINGLE,
      written: new Set([1]),
      version: stream.version + 1,
    });
  }
  return { ...q, form: SINGLE, last: true };
}
