/**
 * Nodes that pick, move or turn rows: last, shuffle, rotate, gain.
 * @module
 */
import { quoted } from "../../format/error.ts";
import {
  type ConcatFeaturesNode,
  type ConcatRowsNode,
  imageInfoOf,
  index,
  type LearnedEmbeddingNode,
  type PixelShuffleNode,
  type QkNormNode,
  type SliceRowsNode,
  widthOf,
} from "../../graph/node.ts";
import { mergeOf, tableRowsOf } from "../../graph/grid.ts";
import type { Rotation } from "../../tensor/rotation.ts";
import { type Amount, ref } from "../buffer.ts";
import { fixedForm, pictureForm, SINGLE } from "../form.ts";
import { REGISTER } from "../step.ts";
import { diagonalBuffer } from "./constants.ts";
import type { Lowering } from "./context.ts";
import { floatsOf, rotated } from "./floats.ts";
import type { Floats } from "./value.ts";

/** The chunk's last row goes on alone: what comes from here on is for the logits only. */
export function lowerLastRow(l: Lowering, id: string, x: string): void {
  if (l.options.phase !== "text") {
    throw l.error(`${quoted(id)} must be of the text phase`);
  }
  l.tail = Math.min(l.tail, l.steps.length);
  const v = l.value(x);
  if (v.form.most === 1) { // one row only goes on already
    l.values.set(id, v);
    return;
  }
  // A norm works row by row, so taking the last row may come first.
  const from = v.kind === "norm" ? v : floatsOf(l, x);
  l.values.set(id, { ...from, form: SINGLE, last: true });
}

/** A constant: rows of their own, or those at the start of the vision phase. */
export function lowerLearnedEmbedding(
  l: Lowering,
  node: LearnedEmbeddingNode,
): Floats {
  const { phase, form: start, patches } = l.options;
  const { weight, width, rows, gridSize, interpolation } = node;
  if (phase !== "vision") {
    throw l.error(
      `${quoted(node.id)}: tables are known in the vision phase only`,
    );
  }
  const form = rows === undefined ? start : fixedForm(rows, 0);
  const table = l.store.constant(
    `table ${weight}`,
    (tableRowsOf(node) ?? form.most) * width * 4,
    () => l.model.floats(weight),
  );
  const value = { kind: "floats", column: 0, stride: width, form } as const;
  if (gridSize === undefined) return { ...value, buffer: table };
  if (patches !== form.most || l.options.windows) {
    throw l.error(
      `${quoted(node.id)}: a grid cannot have extra rows or windows`,
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

/** The first rows of each image go on. */
export function lowerSliceRows(l: Lowering, node: SliceRowsNode): void {
  const x = floatsOf(l, node.x);
  if (l.options.phase !== "vision" || node.count > x.form.most) {
    throw l.error(
      `${
        quoted(node.id)
      } must take at most ${x.form.most} rows of the vision phase: count is ${node.count}`,
    );
  }
  l.values.set(node.id, { ...x, form: fixedForm(node.count, 0) });
}

/** A rotation: forward ones wait for the codes they end in. */
export function lowerHadamard(
  l: Lowering,
  id: string,
  x: string,
  rotation: Rotation,
  inverse: boolean,
): void {
  const form = l.value(x).form;
  if (!inverse) {
    l.values.set(id, { kind: "hadamard", x, rotation, form });
    return;
  }
  // Qᵀ = diag(signs)·(M ⊗ S)ᵀ: the transform now, the signs with whoever comes next
  const from = floatsOf(l, x, true);
  const y = rotated(l, id, from, rotation, from.diagonal, true);
  l.values.set(
    id,
    rotation.seed === 0 ? y : { ...y, diagonal: [{ signs: rotation }] },
  );
}

/** A gain: goes with the norm before it or the rotation behind it. */
export function lowerChannelScale(
  l: Lowering,
  id: string,
  x: string,
  param: string,
): void {
  const v = l.value(x);
  if (
    v.kind === "norm" && v.gain === undefined && v.node.bias === undefined
  ) {
    l.values.set(id, { ...v, gain: param });
    return;
  }
  const f = floatsOf(l, x, true);
  l.values.set(id, {
    ...f,
    diagonal: [...(f.diagonal ?? []), { gain: param }],
  });
}

/** A norm of each head: all rows of one head are one call. */
export function lowerQkNorm(l: Lowering, node: QkNormNode): Floats {
  const x = floatsOf(l, node.x), { width, headDim: d } = node;
  const y = l.rows(node.id, x.form, width), { rows } = x.form;
  const gain = ref(diagonalBuffer(l, [{ gain: node.weight }]));
  for (let at = 0; at < width; at += d) {
    l.emit(
      "rmsnorm_f32",
      node.id,
      [
        l.pointer({ ...x, column: x.column + at }),
        x.stride,
        node.eps,
        gain,
        ref(y.buffer, at * 4),
        y.stride,
        d,
        0,
        rows,
      ],
      rows,
      d,
      { split: { lo: 7, hi: 8, unit: 1 }, sync: at + d === width },
    );
  }
  return y;
}

/** Values side by side. */
export function lowerConcatFeatures(
  l: Lowering,
  node: ConcatFeaturesNode,
): Floats {
  const byId = index(l.model.nodes);
  const xs = node.xs.map((x) => floatsOf(l, x)), { form } = xs[0];
  if (
    l.options.phase !== "vision" || xs.some((x) => x.form.most !== form.most)
  ) {
    throw l.error(
      `${
        quoted(node.id)
      } must be of the vision phase and get the same rows from all its inputs`,
    );
  }
  const y = l.rows(node.id, form, widthOf(node, byId)!);
  let at = 0;
  for (const [i, x] of xs.entries()) {
    const width = widthOf(byId(node.xs[i]), byId)!;
    l.emit(
      "copy_f32",
      node.id,
      [
        ref(y.buffer, at * 4),
        y.stride,
        l.pointer(x),
        x.stride,
        width,
        0,
        form.rows,
      ],
      form.rows,
      width,
      { split: { lo: 5, hi: 6, unit: 1 }, sync: i === xs.length - 1 },
    );
    at += width;
  }
  return y;
}

/** Values one behind the other. */
export function lowerConcatRows(l: Lowering, node: ConcatRowsNode): Floats {
  const xs = node.xs.map((x) => floatsOf(l, x));
  const counts = xs.map(({ form }) => form.rows);
  if (
    l.options.phase !== "vision" ||
    !counts.every((n) => typeof n === "number")
  ) {
    throw l.error(
      `${
        quoted(node.id)
      } must be of the vision phase, where every picture has as many rows`,
    );
  }
  const width = widthOf(node, l.byId)!;
  const y = l.rows(
    node.id,
    fixedForm(counts.reduce((a, b) => a + b, 0), 0),
    width,
  );
  let row = 0;
  for (const [i, x] of xs.entries()) {
    l.emit(
      "copy_f32",
      node.id,
      [
        ref(y.buffer, row * y.stride * 4),
        y.stride,
        l.pointer(x),
        x.stride,
        width,
        0,
        counts[i],
      ],
      counts[i],
      width,
      { split: { lo: 5, hi: 6, unit: 1 }, sync: i === xs.length - 1 },
    );
    row += counts[i];
  }
  return y;
}

/** Pixel shuffle: squares of patches become rows. */
export function lowerPixelShuffle(l: Lowering, node: PixelShuffleNode): Floats {
  if (l.options.phase !== "vision") {
    throw l.error(`${quoted(node.id)} must be of the vision phase`);
  }
  let x = floatsOf(l, node.x);
  const image = imageInfoOf(l.model.info),
    { height, width, patchSize, nativeResolution } = image;
  const { factor } = node, { rows } = x.form, { most } = x.form;
  const whole = nativeResolution
    ? factor === mergeOf(image)
    : height / patchSize % factor === 0 && width / patchSize % factor === 0;
  if (!whole || most !== l.options.patches || node.width % 4 !== 0) {
    throw l.error(
      `${
        quoted(node.id)
      }: patches must be whole squares of ${factor} × ${factor}: there are ${most}`,
    );
  }
  if (x.stride !== node.width || x.column !== 0) {
    const dense: Floats = {
      ...x,
      buffer: l.temporary(`${node.id} dense`, most * node.width * 4),
      column: 0,
      stride: node.width,
    };
    l.emit(
      "copy_f32",
      node.id,
      [
        ref(dense.buffer),
        node.width,
        l.pointer(x),
        x.stride,
        node.width,
        0,
        rows,
      ],
      rows,
      node.width,
      { split: { lo: 5, hi: 6, unit: 1 } },
    );
    x = dense;
  }
  if (l.options.windows) { // the patches of a token stand side by side already
    const form = pictureForm(REGISTER.tokens, most / factor ** 2);
    const { buffer } = x;
    return {
      kind: "floats",
      buffer,
      column: 0,
      stride: node.width * factor ** 2,
      form,
    };
  }
  const count = most / factor ** 2, wide = node.width * factor ** 2;
  const cols: Amount = nativeResolution
    ? { register: REGISTER.cols }
    : width / patchSize;
  const form = nativeResolution
    ? pictureForm(REGISTER.tokens, count)
    : fixedForm(count, 0);
  const buffer = l.temporary(node.id, form.most * wide * 4);
  l.emit(
    "pixel_shuffle_f32",
    node.id,
    [
      ref(x.buffer),
      ref(buffer),
      cols,
      node.width,
      factor,
      0,
      form.rows,
    ],
    form.rows,
    wide,
    { split: { lo: 5, hi: 6, unit: 1 } },
  );
  return { kind: "floats", buffer, column: 0, stride: wide, form };
}
