/**
 * Lowers residual streams, and checks that a value read from a stream is used
 * before the stream changes.
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
import { emitMatmul, fusedWrite } from "./matmul.ts";
import type { Floats, NormValue, StreamState } from "./value.ts";

/** Lowers a norm; it is computed when its value is needed. */
export function lowerNorm(l: Lowering, node: NormNode): NormValue {
  const { layout, version } = whole(l, node);
  return {
    kind: "norm",
    node,
    version,
    layout,
    ...(node.weight === undefined ? {} : { gain: node.weight }),
  };
}

/** The stream that a node reads; all its rows must be written. */
function whole(l: Lowering, node: NormNode | ResidualReadNode): StreamState {
  const stream = l.streams.get(node.stream)!;
  if (stream.written.size < stream.layout.segments.length) {
    throw l.error(`${quoted(node.id)} reads rows that nobody wrote`);
  }
  return stream;
}

/** Lowers residual_read: a copy of the stream. */
export function lowerResidualRead(l: Lowering, node: ResidualReadNode): Floats {
  const { buffer, stride, layout } = whole(l, node);
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
 * Lowers residual_add. The first one stores its rows and determines the number
 * of rows of the stream. A value with fewer rows than an image is added to the
 * image's first rows.
 */
export function lowerResidualAdd(l: Lowering, node: ResidualAddNode): void {
  const x = l.model.nodes.find((n) => n.id === node.x)!;
  if (x.op === "linear" && fusedWrite(l, x) === node) {
    const input = quantizedInput(l, x), layout = l.madeBy(x, input.layout);
    const stream = target(l, node, x.n, layout.of ?? layout);
    emitMatmul(
      l,
      [x],
      { ...input, layout },
      stream,
      (m) => stream.written.has(m) ? 1 : 0,
    );
    wrote(stream, layout.segments);
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
    const start = wanted === undefined ? s.start : 0; // rows of one modality stand alone in x
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
  wrote(stream, segments);
}

/** Writes token embeddings directly into the text rows of their stream. */
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
      }: embeddings must be the first on the text rows of the text phase`,
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
  wrote(stream, segments);
}

/** The stream of a residual_add of rows of `layout`. */
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
      } must add as many rows as its stream has, or fewer to the first rows of an image`,
    );
  }
  return stream;
}

function wrote(stream: StreamState, segments: readonly Segment[]): void {
  for (const s of segments) stream.written.add(s.modality);
  stream.version++;
}

/** Rows to add. */
interface Source {
  readonly buffer: Buffer;
  readonly column: number;
  readonly stride: number;
  readonly width: number;
  readonly layout: RowLayout;
}

/** Image rows, or a value of this phase. */
function sourceOf(l: Lowering, x: Node, write: ResidualAddNode): Source {
  const { layout } = l.options;
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
    return { buffer, column, stride, width, layout };
  }
  if (write.modality !== undefined) {
    throw l.error(`${quoted(write.id)} must go to all rows`);
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
