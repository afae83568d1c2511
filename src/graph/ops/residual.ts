/**
 * Residual streams: adding to one, and taking it as it stands. `norm` takes it
 * through a norm.
 * @module
 */
import { quoted } from "../../format/error.ts";
import type { Executor, Floats } from "../executor.ts";
import { choice, type Field, name, optional, size, value } from "../field.ts";
import { type Checker, op } from "../op.ts";
import { MODALITIES, type Modality, type Phase } from "../phase.ts";
import type { Runner } from "../runner.ts";

const columns: Field<readonly [number, number]> = {
  wish: "a first column and a number of columns",
  about: "only these columns of x: [first, how many]",
  read: (v) =>
    Array.isArray(v) && v.length === 2 &&
      (v[0] === 0 || size("").read(v[0]) !== undefined) &&
      size("").read(v[1]) !== undefined
      ? v as unknown as [number, number]
      : undefined,
};

/** stream += x. */
export const residual_add = op({
  op: "residual_add",
  about:
    "stream += x, on all rows or those of one modality; where x has fewer rows per image than the stream, on the first. It makes no value. With modality vision, x may come from the vision phase.",
  fields: {
    stream: name("a residual stream, [rows, width]"),
    x: value("what is added"),
    modality: optional(choice(["vision", "text"], "only these rows")),
    columns: optional(columns),
  },
  width: () => undefined,
  check({ stream: name, phase, columns }, { widths, streams, expect, fail }) {
    const stream = streams.get(name);
    const [first, width] = columns ?? [0, widths[0]];
    if (stream && stream.phase !== phase) {
      fail(`stream must be of its phase: current value is ${quoted(name)}`);
    }
    if (first % 4 !== 0 || first + width > widths[0]) {
      fail(
        `columns must begin at a multiple of 4 and lie in the ${
          widths[0]
        } columns of what it adds: it is ${first}, ${width}`,
      );
    }
    if (stream) expect(stream.width, width, "the width of what it adds");
    else streams.set(name, { width, phase });
  },
  run(node, r) {
    const { executor, streams, modality } = r;
    const given = r.given(node.x) ?? executor.zeros(0);
    const x = node.columns
      ? columnsOf(executor, given, r.width(node.x), node.columns)
      : given;
    const width = r.streamWidth(node.stream), rows = modality.length;
    // In the vision phase what comes first says how many rows there are.
    const stream = streams.get(node.stream) ??
      executor.zeros(node.phase === "vision" ? x.length : rows * width);
    streams.set(node.stream, stream);
    if (node.modality) addModality(r, stream, x, width, node.modality);
    else addRows(stream, x, r.segments.length);
    return undefined;
  },
});

/** The stream as it stands. */
export const residual_read = op({
  op: "residual_read",
  about: "The stream as it stands, without a norm.",
  fields: {
    stream: name("a residual stream"),
    width: size("its channels"),
  },
  rows: ({ stream }, rows) => rows.stream(stream),
  check: checkStream,
  run: ({ stream }, { streams }) => streams.get(stream)!.slice(),
});

/** Refuses a node that reads a stream nothing has written, or of another width. */
export function checkStream(
  { stream: name, width, phase }: {
    readonly stream: string;
    readonly width: number;
    readonly phase: Phase;
  },
  { streams, expect, fail }: Checker,
): void {
  const stream = streams.get(name);
  if (!stream || stream.phase !== phase) {
    return fail(
      `stream must be one that a residual_add of its phase before it adds to: current value is ${
        quoted(name)
      }`,
    );
  }
  expect(stream.width, width, "width");
}

/** Columns [first, first + count) of all rows of a matrix of `stride` columns. */
function columnsOf(
  executor: Executor,
  x: Floats,
  stride: number,
  [first, count]: readonly [number, number],
): Floats {
  const rows = x.length / stride, y = executor.zeros(rows * count);
  for (let r = 0; r < rows; r++) {
    const at = r * stride + first;
    y.set(x.subarray(at, at + count), r * count);
  }
  return y;
}

/** Adds v to the rows of one modality, in order. */
function addModality(
  { modality }: Runner,
  stream: Floats,
  v: Floats,
  width: number,
  only: Modality,
): void {
  const wanted = MODALITIES.indexOf(only);
  let from = 0;
  for (const [row, m] of modality.entries()) {
    if (m !== wanted) continue;
    for (let c = 0; c < width; c++) stream[row * width + c] += v[from++];
  }
  if (from !== v.length) {
    throw new RangeError(
      `Cannot place ${v.length / width} ${only} rows: the prompt has ${
        from / width
      } places for them`,
    );
  }
}

/** Adds v to the first rows of each image's part of the stream. */
function addRows(stream: Floats, v: Floats, images: number): void {
  if (v.length === stream.length) images = 1;
  const from = v.length / images, to = stream.length / images;
  for (let image = 0; image < images; image++) {
    for (let i = 0; i < from; i++) {
      stream[image * to + i] += v[image * from + i];
    }
  }
}
