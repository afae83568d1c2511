/**
 * Residual streams: what writes them, and when what was read is out of date.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { weightScale } from "../../graph/names.ts";
import {
  index,
  type Node,
  type PeekNode,
  type ReadNode,
  widthOf,
  type WriteNode,
} from "../../graph/node.ts";
import { roundUp } from "../../kernels/layout.ts";
import { type Buffer, ref } from "../buffer.ts";
import type { Form, Segment } from "../form.ts";
import { codesFor } from "./codes.ts";
import type { Lowering } from "./context.ts";
import { floatsOf } from "./floats.ts";
import { emitProduct, fusedWrite } from "./product.ts";
import type { StreamState } from "./value.ts";

/** The stream called `name`, made where it is new. */
export function streamOf(
  l: Lowering,
  name: string,
  width: number,
): StreamState {
  let stream = l.streams.get(name);
  if (!stream) {
    const { buffer, stride } = l.rows(
      `stream ${name}`,
      l.options.form,
      width,
    );
    stream = { buffer, stride, written: new Set(), version: 0 };
    l.streams.set(name, stream);
  }
  return stream;
}

/** A norm: taken when someone needs it. */
export function lowerRead(l: Lowering, node: ReadNode): void {
  if (node.norm !== "rms" || node.bias !== undefined) {
    throw l.error(
      `${
        quoted(node.id)
      } must be an RMS norm without bias; quantize with a recipe that has center-writers and fold-norms`,
    );
  }
  const stream = l.streams.get(node.stream)!;
  const form = l.options.form;
  if (stream.written.size < form.segments.length) {
    throw l.error(`${quoted(node.id)} reads rows that nobody wrote`);
  }
  l.values.set(node.id, {
    kind: "read",
    node,
    version: stream.version,
    form,
    ...(node.gain === undefined ? {} : { gain: node.gain }),
  });
}

/** The stream as it stands, in a copy: it may be written again. */
export function lowerPeek(l: Lowering, node: PeekNode): void {
  const stream = l.streams.get(node.stream)!, { form } = l.options;
  if (stream.written.size < form.segments.length) {
    throw l.error(`${quoted(node.id)} reads rows that nobody wrote`);
  }
  const y = l.rows(node.id, form, node.width);
  l.emit(
    "copy_f32",
    node.id,
    [
      ref(y.buffer),
      y.stride,
      ref(stream.buffer),
      stream.stride,
      node.width,
      0,
      form.rows,
    ],
    form.rows,
    node.width,
    { split: { lo: 5, hi: 6, unit: 1 } },
  );
  l.values.set(node.id, y);
}

/** Adds to a stream; what comes first is stored. What has fewer rows than an image's goes to the first. */
export function lowerWrite(l: Lowering, node: WriteNode): void {
  const x = l.model.nodes.find((n) => n.id === node.x)!;
  const { form } = l.options;
  if (x.op === "linear" && fusedWrite(l, x) === node) {
    const stream = streamOf(l, node.stream, x.n);
    const codes = codesFor(l, x);
    expectFirst(l, node, stream, codes.form);
    emitProduct(l, [x], codes, stream, (m) => stream.written.has(m) ? 1 : 0);
    return wrote(stream, form.segments);
  }
  const wanted = node.rows === undefined
    ? undefined
    : node.rows === "vision"
    ? 0
    : 1;
  const segments = form.segments.filter((s) =>
    wanted === undefined || s.modality === wanted
  );
  const source = sourceOf(l, x, node);
  const stream = streamOf(l, node.stream, source.width);
  if ("form" in source && source.form) {
    expectFirst(l, node, stream, source.form);
  }
  for (const s of segments) {
    const add = stream.written.has(s.modality);
    const to = ref(stream.buffer, 0, s.start, stream.stride * 4);
    const when = s.when === undefined ? {} : { when: s.when };
    if ("embed" in source && !add) {
      l.emit(
        "embed_w8_f32",
        x.id,
        [
          ref(source.embed),
          ref(source.scale),
          ref(source.ids),
          to,
          stream.stride,
          source.width,
          0,
          s.rows,
        ],
        s.rows,
        source.width,
        { split: { lo: 6, hi: 7, unit: 1 }, ...when },
      );
      continue;
    }
    if ("embed" in source) {
      throw l.error(
        `${quoted(node.id)}: embeddings must come first in their stream`,
      );
    }
    const rows = "form" in source && source.form && source.form !== form
      ? source.form.rows
      : s.rows;
    const start = wanted === undefined ? s.start : 0; // rows of one modality stand alone in x
    l.emit(
      add ? "add_f32" : "copy_f32",
      x.id,
      [
        to,
        stream.stride,
        ref(source.buffer, source.column * 4, start, source.stride * 4),
        source.stride,
        source.width,
        0,
        rows,
      ],
      rows,
      source.width,
      { split: { lo: 5, hi: 6, unit: 1 }, ...when },
    );
  }
  wrote(stream, segments);
}

/** Fewer rows than the stream has: only in the vision phase, onto rows that hold something. */
function expectFirst(
  l: Lowering,
  node: WriteNode,
  stream: StreamState,
  form: Form,
): void {
  const all = l.options.form;
  if (form === all) return;
  if (
    l.options.phase === "vision" && form.most <= all.most &&
    stream.written.size === all.segments.length
  ) return;
  throw l.error(
    `${
      quoted(node.id)
    } must add as many rows as its stream has, or fewer to the first rows of an image that are written already`,
  );
}

function wrote(
  stream: StreamState,
  segments: readonly Segment[],
): void {
  for (const s of segments) stream.written.add(s.modality);
  stream.version++;
}

/** Rows to be added: a table, embeddings, image rows, or a value of this phase. */
function sourceOf(l: Lowering, x: Node, write: WriteNode):
  | { embed: Buffer; scale: Buffer; ids: Buffer; width: number }
  | {
    buffer: Buffer;
    column: number;
    stride: number;
    width: number;
    form?: Form;
  } {
  const { form } = l.options;
  if (x.op === "embed") {
    const { vocabulary } = l.model.info;
    if (write.phase !== "text" || write.rows !== "text") {
      throw l.error(
        `${
          quoted(write.id)
        }: embeddings must go to the text rows of the text phase`,
      );
    }
    return {
      embed: l.store.weight(`table ${x.param}`, vocabulary * x.width, {
        kind: "raw",
        tensor: x.param,
      }),
      scale: l.store.constant(
        `scale ${x.param}`,
        vocabulary * 4,
        () => l.model.scales(weightScale(x.param)),
      ),
      ids: l.store.state("ids", form.most * 4),
      width: x.width,
    };
  }
  if (x.op === "table") {
    if (x.phase !== "vision") {
      throw l.error(
        `${quoted(x.id)}: tables are known in the vision phase only`,
      );
    }
    const bytes = form.most * x.width * 4;
    const buffer = l.store.constant(
      `table ${x.param}`,
      bytes,
      () => l.model.floats(x.param),
    );
    return { buffer, column: 0, stride: x.width, width: x.width };
  }
  if (x.phase !== write.phase) {
    const width = (x as { n?: number }).n;
    if (x.op !== "linear" || width === undefined) {
      throw l.error(
        `${quoted(x.id)}: image rows must come from a linear`,
      );
    }
    if (l.images) throw l.error("more than one value brings image rows");
    const stride = roundUp(width, 8);
    const buffer = l.temporary(
      "image rows",
      l.options.imageRows * stride * 4,
    );
    buffer.first = 0;
    l.images = { buffer, stride };
    return { buffer, column: 0, stride, width };
  }
  const v = floatsOf(l, x.id);
  if (write.rows !== undefined) {
    throw l.error(`${quoted(write.id)} must go to all rows`);
  }
  return { ...v, width: widthOf(x, index(l.model.nodes))! };
}
