/**
 * Residual streams: what writes them, and when what was read is out of date.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { weightScale } from "../../graph/names.ts";
import {
  type EmbeddingNode,
  index,
  MODALITIES,
  type Node,
  type NormNode,
  type ResidualAddNode,
  type ResidualReadNode,
  widthOf,
} from "../../graph/node.ts";
import { roundUp, type WeightBits, weightBytes } from "../../kernels/layout.ts";
import { type Buffer, ref } from "../buffer.ts";
import type { Form, Segment } from "../form.ts";
import { codesFor } from "./codes.ts";
import type { Lowering } from "./context.ts";
import { floatsOf } from "./floats.ts";
import { emitProduct, fusedWrite } from "./product.ts";
import type { StreamState } from "./value.ts";

/** A norm: taken when someone needs it. */
export function lowerNorm(l: Lowering, node: NormNode): void {
  const { form, version } = whole(l, node);
  l.values.set(node.id, {
    kind: "norm",
    node,
    version,
    form,
    ...(node.weight === undefined ? {} : { gain: node.weight }),
  });
}

/** The stream a node reads, all of whose rows must be written. */
function whole(l: Lowering, node: NormNode | ResidualReadNode): StreamState {
  const stream = l.streams.get(node.stream)!;
  if (stream.written.size < stream.form.segments.length) {
    throw l.error(`${quoted(node.id)} reads rows that nobody wrote`);
  }
  return stream;
}

/** The stream as it stands, in a copy: it may be written again. */
export function lowerResidualRead(l: Lowering, node: ResidualReadNode): void {
  const { buffer, stride, form } = whole(l, node);
  const y = l.rows(node.id, form, node.width);
  l.emit(
    "copy_f32",
    node.id,
    [ref(y.buffer), y.stride, ref(buffer), stride, node.width, 0, form.rows],
    form.rows,
    node.width,
    { split: { lo: 5, hi: 6, unit: 1 } },
  );
  l.values.set(node.id, y);
}

/**
 * Adds to a stream; what comes first is stored, and says how many rows the
 * stream has. What has fewer rows than an image goes to the first of them.
 */
export function lowerResidualAdd(l: Lowering, node: ResidualAddNode): void {
  const x = l.model.nodes.find((n) => n.id === node.x)!;
  if (x.op === "linear" && fusedWrite(l, x) === node) {
    const codes = codesFor(l, x), form = l.madeBy(x, codes.form);
    const stream = target(l, node, x.n, form.of ?? form);
    emitProduct(
      l,
      [x],
      { ...codes, form },
      stream,
      (m) => stream.written.has(m) ? 1 : 0,
    );
    wrote(stream, form.segments);
    return;
  }
  if (x.op === "embedding") return writeEmbeddings(l, node, x);
  const source = sourceOf(l, x, node);
  const stream = target(l, node, source.width, source.form);
  const wanted = node.modality && MODALITIES.indexOf(node.modality);
  const segments = source.form.segments.filter((s) =>
    wanted === undefined || s.modality === wanted
  );
  for (const s of segments) {
    const start = wanted === undefined ? s.start : 0; // rows of one modality stand alone in x
    l.emit(
      stream.written.has(s.modality) ? "add_f32" : "copy_f32",
      x.id,
      [
        ref(stream.buffer, 0, s.start, stream.stride * 4),
        stream.stride,
        ref(source.buffer, source.column * 4, start, source.stride * 4),
        source.stride,
        source.width,
        0,
        s.rows,
      ],
      s.rows,
      source.width,
      {
        split: { lo: 5, hi: 6, unit: 1 },
        ...(s.when === undefined ? {} : { when: s.when }),
      },
    );
  }
  wrote(stream, segments);
}

/** Token embeddings go straight into the text rows of their stream. */
function writeEmbeddings(
  l: Lowering,
  node: ResidualAddNode,
  x: EmbeddingNode,
): void {
  const { form } = l.options, { vocabulary } = l.model.info;
  const stream = target(l, node, x.width, form);
  if (
    node.phase !== "text" || node.modality !== "text" || stream.written.has(1)
  ) {
    throw l.error(
      `${
        quoted(node.id)
      }: embeddings must be the first on the text rows of the text phase`,
    );
  }
  const bits = l.model.bits.get(x.weight) as WeightBits;
  const codes = l.store.weight( // a tied head's, too
    `panels ${x.weight}`,
    weightBytes(bits, vocabulary, x.width),
    {
      packing: { bits },
      parts: [{ tensor: x.weight, n: vocabulary, k: x.width, offset: 0 }],
    },
    true,
  );
  const scale = l.store.constant(
    `scale ${x.weight}`,
    vocabulary * 4,
    () => l.model.scales(weightScale(x.weight)),
  );
  const ids = l.store.state("ids", form.most * 4);
  const segments = form.segments.filter((s) => s.modality === 1);
  for (const s of segments) {
    l.emit(
      "embed_f32",
      x.id,
      [
        ref(codes),
        bits,
        ref(scale),
        ref(ids),
        ref(stream.buffer, 0, s.start, stream.stride * 4),
        stream.stride,
        x.width,
        0,
        s.rows,
      ],
      s.rows,
      x.width,
      {
        split: { lo: 7, hi: 8, unit: 1 },
        ...(s.when === undefined ? {} : { when: s.when }),
      },
    );
  }
  wrote(stream, segments);
}

/** The stream a write adds rows of `form` to. */
function target(
  l: Lowering,
  node: ResidualAddNode,
  width: number,
  form: Form,
): StreamState {
  let stream = l.streams.get(node.stream);
  if (!stream) {
    const { buffer, stride } = l.rows(`stream ${node.stream}`, form, width);
    stream = { buffer, stride, form, written: new Set(), version: 0 };
    l.streams.set(node.stream, stream);
  }
  const fewer = l.options.phase === "vision" && stream.written.size > 0 &&
    form.most <= stream.form.most;
  if (form !== stream.form && !fewer) {
    throw l.error(
      `${
        quoted(node.id)
      } must add as many rows as its stream has, or fewer to the first rows of an image`,
    );
  }
  return stream;
}

function wrote(stream: StreamState, segments: readonly Segment[]): void {
  for (const s of segments) stream.written.add(s.modality);
  stream.version++;
}

/** Rows to be added. */
interface Source {
  readonly buffer: Buffer;
  readonly column: number;
  readonly stride: number;
  readonly width: number;
  readonly form: Form;
}

/** Image rows, or a value of this phase. */
function sourceOf(l: Lowering, x: Node, write: ResidualAddNode): Source {
  const { form } = l.options;
  const whole = widthOf(x, index(l.model.nodes))!;
  const [column, width] = write.columns ?? [0, whole];
  if (x.phase !== write.phase) {
    if (
      x.op !== "linear" && x.op !== "concat_features" && x.op !== "concat_rows"
    ) {
      throw l.error(
        `${
          quoted(x.id)
        }: image rows must come from a linear, a join or a stack`,
      );
    }
    l.images ??= imageRows(l, x.id, whole);
    if (l.images.x !== x.id) {
      throw l.error("more than one value brings image rows");
    }
    const { buffer, stride } = l.images;
    return { buffer, column, stride, width, form };
  }
  if (write.modality !== undefined) {
    throw l.error(`${quoted(write.id)} must go to all rows`);
  }
  const from = floatsOf(l, x.id);
  return { ...from, column: from.column + column, width };
}

/** Where a chunk's image rows come in. */
function imageRows(l: Lowering, x: string, width: number) {
  const stride = roundUp(width, 8);
  const buffer = l.temporary("image rows", l.options.imageRows * stride * 4);
  buffer.first = 0;
  return { buffer, stride, x };
}
