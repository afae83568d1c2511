/**
 * Lowers residual streams: additions, norms and plain reads.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { weightScale } from "../../graph/names.ts";
import {
  type EmbeddingNode,
  index,
  type Node,
  type NormNode,
  type ResidualAddNode,
  type ResidualReadNode,
  widthOf,
} from "../../graph/node.ts";
import { MODALITIES } from "../../graph/phase.ts";
import { packedBits, roundUp, weightBytes } from "../../kernels/layout.ts";
import {
  add_f32,
  copy_f32,
  embedding_f32,
} from "../../kernels/signatures/rows.ts";
import { type Buffer, ref } from "../buffer.ts";
import type { RowLayout, Segment } from "../row_layout.ts";
import { quantizedInput } from "./quantized.ts";
import { all } from "./call.ts";
import type { Lowering } from "./context.ts";
import { floatsOf } from "./floats.ts";
import { emitMatmul, fusedAdd } from "./matmul.ts";
import type { Floats, NormValue, StreamState } from "./value.ts";

/** A norm: computed when it is used. */
export function lowerNorm(l: Lowering, node: NormNode): NormValue {
  const { layout, version } = streamOf(l, node);
  return {
    kind: "norm",
    node,
    version,
    layout,
    ...(node.weight === undefined ? {} : { gain: node.weight }),
  };
}

/** The stream that a node reads; throws where an addition to some of its rows is missing. */
function streamOf(l: Lowering, node: NormNode | ResidualReadNode): StreamState {
  const stream = l.streams.get(node.stream)!;
  if (stream.written.size < stream.layout.segments.length) {
    throw l.error(
      `${quoted(node.id)}: no residual_add adds to some rows of its stream`,
    );
  }
  return stream;
}

/** A copy of the stream, because later additions change it. */
export function lowerResidualRead(l: Lowering, node: ResidualReadNode): Floats {
  const { buffer, stride, layout } = streamOf(l, node);
  const y = l.rows(node.id, layout, node.width);
  l.copy(
    node.id,
    ref(y.buffer),
    y.stride,
    ref(buffer),
    stride,
    node.width,
    layout.rows,
  );
  return y;
}

/**
 * Adds to a stream. The first addition stores its value and sets the number of rows. A
 * value with fewer rows is added to the first rows.
 */
export function lowerResidualAdd(l: Lowering, node: ResidualAddNode): void {
  const x = l.model.nodes.find((n) => n.id === node.x)!;
  if (x.op === "linear" && fusedAdd(l, x) === node) {
    const input = quantizedInput(l, x),
      layout = l.outputLayout(x, input.layout);
    const stream = target(l, node, x.n, layout.of ?? layout);
    emitMatmul(
      l,
      [x],
      { ...input, layout },
      stream,
      (m) => stream.written.has(m) ? 1 : 0,
    );
    markWritten(stream, layout.segments);
    return;
  }
  if (x.op === "embedding") return writeEmbeddings(l, node, x);
  const source = sourceOf(l, x, node);
  const stream = target(l, node, source.width, source.layout);
  const wanted = node.modality && MODALITIES.indexOf(node.modality);
  const segments = source.layout.segments.filter((s) =>
    wanted === undefined || s.modality === wanted
  );
  for (const s of segments) {
    const start = wanted === undefined ? s.start : 0; // x has only the rows of its modality
    l.emit(
      stream.written.has(s.modality) ? add_f32 : copy_f32,
      x.id,
      {
        y: ref(stream.buffer, 0, s.start, stream.stride * 4),
        ldy: stream.stride,
        x: ref(source.buffer, source.column * 4, start, source.stride * 4),
        ldx: source.stride,
        k: source.width,
        rows: all(s.rows),
      },
      [s.rows, source.width],
      s.when === undefined ? {} : { when: s.when },
    );
  }
  markWritten(stream, segments);
}

/** Writes token embeddings directly to the text rows of their stream. */
function writeEmbeddings(
  l: Lowering,
  node: ResidualAddNode,
  x: EmbeddingNode,
): void {
  const { layout } = l.options, { vocabulary } = l.model.info;
  const stream = target(l, node, x.width, layout);
  if (
    node.phase !== "text" || node.modality !== "text" || stream.written.has(1)
  ) {
    throw l.error(
      `${
        quoted(node.id)
      }: embeddings must be the first addition to the text rows, in the text phase`,
    );
  }
  const bits = packedBits(l.model.bits.get(x.weight)!);
  const weights = l.store.weight( // shared with a tied head
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
  const ids = l.store.state("ids", layout.maxRows * 4);
  const segments = layout.segments.filter((s) => s.modality === 1);
  for (const s of segments) {
    l.emit(
      embedding_f32,
      x.id,
      {
        w: ref(weights),
        bits,
        scale: ref(scale),
        ids: ref(ids),
        y: ref(stream.buffer, 0, s.start, stream.stride * 4),
        ldy: stream.stride,
        k: x.width,
        rows: all(s.rows),
      },
      [s.rows, x.width],
      s.when === undefined ? {} : { when: s.when },
    );
  }
  markWritten(stream, segments);
}

/** The stream that a residual addition of rows of `layout` adds to. */
function target(
  l: Lowering,
  node: ResidualAddNode,
  width: number,
  layout: RowLayout,
): StreamState {
  let stream = l.streams.get(node.stream);
  if (!stream) {
    const { buffer, stride } = l.rows(`stream ${node.stream}`, layout, width);
    stream = { buffer, stride, layout, written: new Set(), version: 0 };
    l.streams.set(node.stream, stream);
  }
  const fewer = l.options.phase === "vision" && stream.written.size > 0 &&
    layout.maxRows <= stream.layout.maxRows;
  if (layout !== stream.layout && !fewer) {
    throw l.error(
      `${
        quoted(node.id)
      } must add as many rows as its stream has, or, in the vision phase, fewer`,
    );
  }
  return stream;
}

function markWritten(stream: StreamState, segments: readonly Segment[]): void {
  for (const s of segments) stream.written.add(s.modality);
  stream.version++;
}

/** Float rows to add. */
interface Source {
  readonly buffer: Buffer;
  readonly column: number;
  readonly stride: number;
  readonly width: number;
  readonly layout: RowLayout;
}

/** Image rows, or a value of this phase. */
function sourceOf(l: Lowering, x: Node, add: ResidualAddNode): Source {
  const { layout } = l.options;
  const full = widthOf(x, index(l.model.nodes))!;
  const [column, width] = add.columns ?? [0, full];
  if (x.phase !== add.phase) {
    if (
      x.op !== "linear" && x.op !== "concat_features" && x.op !== "concat_rows"
    ) {
      throw l.error(
        `${
          quoted(x.id)
        }: image rows must come from linear, concat_features or concat_rows: they come from ${x.op}`,
      );
    }
    l.images ??= imageRows(l, x.id, full);
    if (l.images.x !== x.id) {
      throw l.error(
        `image rows must come from one value: they come from ${
          quoted(l.images.x)
        } and ${quoted(x.id)}`,
      );
    }
    const { buffer, stride } = l.images;
    return { buffer, column, stride, width, layout };
  }
  if (add.modality !== undefined) {
    throw l.error(`${quoted(add.id)} must add to all rows, without modality`);
  }
  const from = floatsOf(l, x.id);
  return { ...from, column: from.column + column, width };
}

/** The input buffer of a chunk's image rows. */
function imageRows(l: Lowering, x: string, width: number) {
  const stride = roundUp(width, 8);
  const buffer = l.temporary("image rows", l.options.imageRows * stride * 4);
  buffer.first = 0;
  return { buffer, stride, x };
}
