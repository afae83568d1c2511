/**
 * Residual streams: addition, plain read, norm; and the norm of heads.
 * @module
 */
import { quoted } from "../../format/error.ts";
import type { Executor, Floats } from "../executor.ts";
import * as f from "../field.ts";
import { type Checker, op, parameter } from "../op.ts";
import { MODALITIES, type Phase } from "../phase.ts";
import { rowsOf, type Runner } from "../runner.ts";

/** The op `residual_add`; `about` defines it. */
export const residual_add = op({
  op: "residual_add",
  about:
    "stream += x; where x has fewer rows per image than the stream, to the first rows. It has no value. With modality vision, x may come from the vision phase.",
  fields: {
    stream: f.name("a residual stream, [rows, width]"),
    x: f.value("the value that is added"),
    modality: f.optional(f.choice(MODALITIES)("adds to these rows only")),
    columns: f.optional(
      f.list(
        "a first column and a number of columns",
        (n) => n === 2,
        f.offset(""),
      )("only these columns of x: [first, how many]"),
    ),
  },
  width: () => undefined,
  check({ stream: name, phase, columns }, { widths, streams, expect, fail }) {
    const stream = streams.get(name),
      [first, width] = columns ?? [0, widths[0]];
    if (stream && stream.phase !== phase) {
      fail(`stream must be of its phase: current value is ${quoted(name)}`);
    }
    if (first % 4 !== 0 || width < 1 || first + width > widths[0]) {
      fail(
        `columns must begin at a multiple of 4 and lie in the ${
          widths[0]
        } columns of what it adds: it is ${first}, ${width}`,
      );
    }
    if (stream) expect(stream.width, width, "the width of what it adds");
    else streams.set(name, { width, phase });
  },
  run({ x: id, stream: name, phase, modality, columns }, r) {
    const { zeros } = r.executor, given = r.given(id) ?? zeros(0);
    const x = columns
      ? columnsOf(r.executor, given, r.width(id), columns)
      : given;
    const width = r.streamWidth(name), rows = r.modality.length;
    // In the vision phase the first addition sets the number of rows.
    const stream = r.streams.get(name) ??
      zeros(phase === "vision" ? x.length : rows * width);
    r.streams.set(name, stream);
    if (modality) scatterAdd(stream, x, width, rowsOf(r.modality, modality));
    else addRows(stream, x, r.segments.length);
    return undefined;
  },
});

/** The op `residual_read`; `about` defines it. */
export const residual_read = op({
  op: "residual_read",
  about: "The value of a stream, without a norm.",
  fields: {
    stream: f.name("a residual stream"),
    width: f.size("its channels"),
  },
  rows: ({ stream }, rows) => rows.stream(stream),
  check: checkStream,
  run: ({ stream }, { streams }) => streams.get(stream)!.slice(),
});

/** The op `norm`; `about` defines it. */
export const norm = op({
  op: "norm",
  about:
    "LayerNorm or RMSNorm of a residual stream over its channels, times weight, plus bias.",
  fields: {
    stream: f.name("a residual stream"),
    width: f.size("its channels"),
    kind: f.choice(["layer", "rms"])("LayerNorm subtracts the mean first"),
    eps: f.positive("added to the mean square"),
    weight: f.optional(f.tensor("[width]; ones where absent")),
    bias: f.optional(f.tensor("[width]; zeros where absent")),
  },
  rows: ({ stream }, rows) => rows.stream(stream),
  tensors: ({ weight, bias, width }) => [
    ...parameter(weight, width),
    ...parameter(bias, width),
  ],
  check: checkStream,
  run: (node, r): Floats => normalised(r, r.streams.get(node.stream)!, node),
});

/** The op `qk_norm`; `about` defines it. */
export const qk_norm = op({
  op: "qk_norm",
  about:
    "RMSNorm of each head of a row, one weight for all heads (queries and keys of Qwen3).",
  fields: {
    x: f.value("[rows, width]"),
    width: f.size("channels: whole heads"),
    headDim: f.size("channels of a head: a multiple of 8"),
    eps: f.positive("added to the mean square"),
    weight: f.tensor("[headDim]"),
  },
  rowwise: true,
  tensors: ({ weight, headDim }) => parameter(weight, headDim),
  check({ width, headDim }, { widths, expect, fail }) {
    expect(width, widths[0], "the width of its input");
    if (width % headDim === 0 && headDim % 8 === 0) return;
    fail(
      `headDim must be a multiple of 8 that divides ${width}: current value is ${headDim}`,
    );
  },
  run: ({ x, headDim: width, eps, weight }, r): Floats =>
    normalised(r, r.value(x), { kind: "rms", width, eps, weight }),
});

/** Checks that an earlier `residual_add` of the same phase and width adds to the stream. */
function checkStream(
  { stream: name, width, phase }: {
    readonly stream: string;
    readonly width: number;
    readonly phase: Phase;
  },
  { streams, expect, fail }: Checker,
): void {
  const stream = streams.get(name);
  if (stream?.phase === phase) return expect(stream.width, width, "width");
  fail(
    `stream must have an earlier residual_add of the same phase: current value is ${
      quoted(name)
    }`,
  );
}

/** Columns [first, first + count) of all rows of a matrix of `stride` columns. */
function columnsOf(
  { zeros }: Executor,
  x: Floats,
  stride: number,
  [first, count]: readonly number[],
): Floats {
  const rows = x.length / stride, y = zeros(rows * count);
  for (let r = 0; r < rows; r++) {
    const at = r * stride + first;
    y.set(x.subarray(at, at + count), r * count);
  }
  return y;
}

/** Adds the rows of v to the rows `rows` of the stream. */
function scatterAdd(
  stream: Floats,
  v: Floats,
  width: number,
  rows: readonly number[],
): void {
  if (v.length !== rows.length * width) {
    throw new RangeError(
      `Cannot add ${
        v.length / width
      } image rows: the prompt has ${rows.length} image tokens`,
    );
  }
  for (const [i, row] of rows.entries()) {
    for (let c = 0; c < width; c++) stream[row * width + c] += v[i * width + c];
  }
}

/** Adds v to the first rows of each image. */
function addRows(stream: Floats, v: Floats, images: number): void {
  if (v.length === stream.length) images = 1;
  const from = v.length / images, to = stream.length / images;
  for (let image = 0; image < images; image++) {
    for (let i = 0; i < from; i++) {
      stream[image * to + i] += v[image * from + i];
    }
  }
}

/** The norm of each row of `width` channels. */
function normalised(
  { executor, param }: Runner,
  x: Floats,
  { kind, width, eps, weight, bias }: {
    readonly kind: "layer" | "rms";
    readonly width: number;
    readonly eps: number;
    readonly weight?: string;
    readonly bias?: string;
  },
): Floats {
  const gain = weight === undefined ? undefined : param(weight);
  const offset = bias === undefined ? undefined : param(bias);
  const y = executor.zeros(x.length);
  for (let row = 0; row < x.length; row += width) {
    let mean = 0, square = 0;
    if (kind === "layer") {
      for (let i = 0; i < width; i++) mean += x[row + i];
      mean /= width;
    }
    for (let i = 0; i < width; i++) square += (x[row + i] - mean) ** 2;
    const r = 1 / Math.sqrt(square / width + eps);
    for (let i = 0; i < width; i++) {
      y[row + i] = (x[row + i] - mean) * r * (gain ? gain[i] : 1) +
        (offset ? offset[i] : 0);
    }
  }
  return y;
}
