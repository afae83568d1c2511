/**
 * Lowers the ops that select, concatenate, rotate or scale rows.
 * @module
 */
import { quoted } from "../../format/error.ts";
import {
  type ChannelScaleNode,
  type ConcatFeaturesNode,
  type ConcatRowsNode,
  type HadamardNode,
  index,
  type LastRowNode,
  type LearnedEmbeddingNode,
  type PixelShuffleNode,
  type QkNormNode,
  type SliceRowsNode,
  widthOf,
} from "../../graph/node.ts";
import { imageInfoOf } from "../../graph/info.ts";
import { mergeOf, tableRows } from "../../graph/grid.ts";
import { type Amount, ref } from "../buffer.ts";
import { fixedRows, ONE_ROW, registerRows } from "../row_layout.ts";
import { rmsnorm_f32 } from "../../kernels/signatures/quantize.ts";
import { pixel_shuffle_f32 } from "../../kernels/signatures/rows.ts";
import { REGISTER } from "../step.ts";
import { all } from "./call.ts";
import { diagonalBuffer } from "./constants.ts";
import type { Lowering } from "./context.ts";
import { floatsOf, rotated } from "./floats.ts";
import type { Floats, Value } from "./value.ts";

/** The chunk's last row: from here on steps are for the logits only. */
export function lowerLastRow(l: Lowering, { id, x }: LastRowNode): Value {
  if (l.options.phase !== "text") {
    throw l.error(`${quoted(id)} must be in the text phase`);
  }
  l.tail = Math.min(l.tail, l.steps.length);
  const v = l.value(x);
  if (v.layout.maxRows === 1) return v; // there is only one row
  // A norm is per row, so the last row can be selected before it.
  const from = v.kind === "norm" ? v : floatsOf(l, x);
  return { ...from, layout: ONE_ROW, last: true };
}

/** A table as a constant, or resampled to each image's grid. */
export function lowerLearnedEmbedding(
  l: Lowering,
  node: LearnedEmbeddingNode,
): Floats {
  const { phase, layout: start, patches } = l.options;
  const { weight, width, rows, gridSize, interpolation } = node;
  if (phase !== "vision") {
    throw l.error(
      `${quoted(node.id)}: learned_embedding is for the vision phase only`,
    );
  }
  const layout = rows === undefined ? start : fixedRows(rows, 0);
  const table = l.store.constant(
    `table ${weight}`,
    (tableRows(node) ?? layout.maxRows) * width * 4,
    () => l.model.floats(weight),
  );
  const value = { kind: "floats", column: 0, stride: width, layout } as const;
  if (gridSize === undefined) return { ...value, buffer: table };
  if (patches !== layout.maxRows || l.options.windows) {
    throw l.error(
      `${quoted(node.id)}: gridSize must come without extra rows and windows`,
    );
  }
  const buffer = l.store.state(`rows of ${weight}`, patches * width * 4);
  l.grid(weight, () => ({
    kind: "table",
    from: table.at,
    to: buffer.at,
    width,
    gridSize,
    ...(interpolation ? { interpolation } : {}),
  }));
  return { ...value, buffer };
}

/** The first rows of each image. */
export function lowerSliceRows(l: Lowering, node: SliceRowsNode): Floats {
  const x = floatsOf(l, node.x);
  if (l.options.phase !== "vision" || node.count > x.layout.maxRows) {
    throw l.error(
      `${
        quoted(node.id)
      }: count must be at most ${x.layout.maxRows}, in the vision phase: current value is ${node.count}`,
    );
  }
  return { ...x, layout: fixedRows(node.count, 0) };
}

/** A rotation. A forward one is fused with the quantization that uses it. */
export function lowerHadamard(
  l: Lowering,
  { id, x, rotation, inverse }: HadamardNode,
): Value {
  const layout = l.value(x).layout;
  if (!inverse) return { kind: "hadamard", x, rotation, layout };
  // Qᵀ = diag(signs)·(M ⊗ S)ᵀ: the transform now, the signs with the next op
  const from = floatsOf(l, x, true);
  const y = rotated(l, id, from, rotation, from.diagonal, true);
  return rotation.seed === 0 ? y : { ...y, diagonal: [{ signs: rotation }] };
}

/** A factor per channel: fused with the norm before it or the rotation after it. */
export function lowerChannelScale(
  l: Lowering,
  { x, weight: gain }: ChannelScaleNode,
): Value {
  const v = l.value(x);
  if (
    v.kind === "norm" && v.gain === undefined && v.node.bias === undefined
  ) return { ...v, gain };
  const f = floatsOf(l, x, true);
  return { ...f, diagonal: [...(f.diagonal ?? []), { gain }] };
}

/** A norm of each head: one kernel call per head, for all rows. */
export function lowerQkNorm(l: Lowering, node: QkNormNode): Floats {
  const x = floatsOf(l, node.x), { width, headDim: d } = node;
  const y = l.rows(node.id, x.layout, width), { rows } = x.layout;
  const gain = ref(diagonalBuffer(l, [{ gain: node.weight }]));
  for (let at = 0; at < width; at += d) {
    l.emit(
      rmsnorm_f32,
      node.id,
      {
        x: l.pointer({ ...x, column: x.column + at }),
        ldx: x.stride,
        eps: node.eps,
        gain,
        y: ref(y.buffer, at * 4),
        ldy: y.stride,
        k: d,
        rows: all(rows),
      },
      [rows, d],
      { sync: at + d === width },
    );
  }
  return y;
}

/** Concatenation of columns. */
export function lowerConcatFeatures(
  l: Lowering,
  node: ConcatFeaturesNode,
): Floats {
  const byId = index(l.model.nodes);
  const xs = node.xs.map((x) => floatsOf(l, x)), { layout } = xs[0];
  if (
    l.options.phase !== "vision" ||
    xs.some((x) => x.layout.maxRows !== layout.maxRows)
  ) {
    throw l.error(
      `${
        quoted(node.id)
      } must be in the vision phase and get the same rows from all its inputs`,
    );
  }
  const y = l.rows(node.id, layout, widthOf(node, byId)!);
  let at = 0;
  for (const [i, x] of xs.entries()) {
    const width = widthOf(byId(node.xs[i]), byId)!;
    l.copy(
      node.id,
      ref(y.buffer, at * 4),
      y.stride,
      l.pointer(x),
      x.stride,
      width,
      layout.rows,
      { sync: i === xs.length - 1 },
    );
    at += width;
  }
  return y;
}

/** Concatenation of rows. */
export function lowerConcatRows(l: Lowering, node: ConcatRowsNode): Floats {
  const xs = node.xs.map((x) => floatsOf(l, x));
  const counts = xs.map(({ layout }) => layout.rows);
  if (
    l.options.phase !== "vision" ||
    !counts.every((n) => typeof n === "number")
  ) {
    throw l.error(
      `${
        quoted(node.id)
      } must be in the vision phase, of images with equal numbers of rows`,
    );
  }
  const width = widthOf(node, l.byId)!;
  const y = l.rows(
    node.id,
    fixedRows(counts.reduce((a, b) => a + b, 0), 0),
    width,
  );
  let row = 0;
  for (const [i, x] of xs.entries()) {
    l.copy(
      node.id,
      ref(y.buffer, row * y.stride * 4),
      y.stride,
      l.pointer(x),
      x.stride,
      width,
      counts[i],
      { sync: i === xs.length - 1 },
    );
    row += counts[i];
  }
  return y;
}

/** Pixel shuffle: a square of patches becomes a row. */
export function lowerPixelShuffle(l: Lowering, node: PixelShuffleNode): Floats {
  if (l.options.phase !== "vision") {
    throw l.error(`${quoted(node.id)} must be in the vision phase`);
  }
  let x = floatsOf(l, node.x);
  const image = imageInfoOf(l.model.info),
    { height, width, patchSize, nativeResolution } = image;
  const { factor } = node, { rows, maxRows } = x.layout;
  const whole = nativeResolution
    ? factor === mergeOf(image)
    : height / patchSize % factor === 0 && width / patchSize % factor === 0;
  if (!whole || maxRows !== l.options.patches || node.width % 4 !== 0) {
    throw l.error(
      `${
        quoted(node.id)
      }: patches must be whole squares of ${factor} × ${factor}: there are ${maxRows}`,
    );
  }
  if (x.stride !== node.width || x.column !== 0) {
    const dense: Floats = {
      ...x,
      buffer: l.temporary(`${node.id} dense`, maxRows * node.width * 4),
      column: 0,
      stride: node.width,
    };
    l.copy(
      node.id,
      ref(dense.buffer),
      node.width,
      l.pointer(x),
      x.stride,
      node.width,
      rows,
    );
    x = dense;
  }
  if (l.options.windows) { // the patches of a token are already contiguous
    const layout = registerRows(REGISTER.tokens, maxRows / factor ** 2);
    const { buffer } = x;
    return {
      kind: "floats",
      buffer,
      column: 0,
      stride: node.width * factor ** 2,
      layout,
    };
  }
  const count = maxRows / factor ** 2, wide = node.width * factor ** 2;
  const cols: Amount = nativeResolution
    ? { register: REGISTER.cols }
    : width / patchSize;
  const layout = nativeResolution
    ? registerRows(REGISTER.tokens, count)
    : fixedRows(count, 0);
  const buffer = l.temporary(node.id, layout.maxRows * wide * 4);
  l.emit(
    pixel_shuffle_f32,
    node.id,
    {
      x: ref(x.buffer),
      y: ref(buffer),
      grid: cols,
      dim: node.width,
      factor,
      rows: all(layout.rows),
    },
    [layout.rows, wide],
  );
  return { kind: "floats", buffer, column: 0, stride: wide, layout };
}
