/**
 * Ops that move rows and columns: pixel shuffle, concatenation, slices.
 * @module
 */
import type { Floats } from "../executor.ts";
import { size, value, values } from "../field.ts";
import { op } from "../op.ts";
import type { Runner } from "../runner.ts";

/** Pixel shuffle. */
export const pixel_shuffle = op({
  op: "pixel_shuffle",
  about:
    "factor² neighbouring patches of an image's grid become one row of width·factor² channels, row by row inside the square and from square to square (pixel_shuffle of Idefics3).",
  fields: {
    x: value("[patches, width]"),
    factor: size("patches along each side of a square"),
    width: size("channels of x"),
  },
  phase: "vision",
  width: ({ width, factor }) => width * factor ** 2,
  rows({ x, factor }, rows) {
    const given = rows.value(x);
    return given === undefined ? undefined : given / factor ** 2;
  },
  check({ width }, { widths, expect }) {
    expect(width, widths[0], "the width of its input");
  },
  run({ x, width, factor }, r) {
    const v = r.value(x), y = r.executor.zeros(v.length);
    let first = 0, to = 0;
    for (const { grid } of r.segments) {
      const { rows, cols } = grid!;
      for (let top = 0; top < rows; top += factor) {
        for (let left = 0; left < cols; left += factor) {
          for (let dy = 0; dy < factor; dy++) {
            const row = first + (top + dy) * cols + left;
            y.set(v.subarray(row * width, (row + factor) * width), to);
            to += factor * width;
          }
        }
      }
      first += rows * cols;
    }
    return y;
  },
});

/** Values side by side. */
export const concat_features = op({
  op: "concat_features",
  about:
    "Values of equally many rows side by side, such as what the vision phase hands over where it is more than one value.",
  fields: { xs: values("[rows, width of each]") },
  width: ({ xs }, width) => xs.reduce((sum, x) => sum + width(x), 0),
  run({ id, xs }, r) {
    const parts = xs.map(r.value), stride = r.width(id);
    const y = r.executor.zeros(parts.reduce((sum, x) => sum + x.length, 0));
    let at = 0;
    for (const [i, x] of parts.entries()) {
      const width = r.width(xs[i]);
      for (let row = 0; row < x.length / width; row++) {
        y.set(x.subarray(row * width, (row + 1) * width), row * stride + at);
      }
      at += width;
    }
    return y;
  },
});

/** Rows one behind the other. */
export const concat_rows = op({
  op: "concat_rows",
  about:
    "Rows of each image: those of one value behind those of the one before.",
  fields: { xs: values("[rows of each, width]") },
  phase: "vision",
  width: ({ xs }, width) => width(xs[0]),
  check(_, { widths, expect }) {
    for (const width of widths) {
      expect(widths[0], width, "the width of each input");
    }
  },
  run({ xs }, { executor, segments: { length: images }, value }) {
    const parts = xs.map(value);
    const y = executor.zeros(parts.reduce((sum, x) => sum + x.length, 0));
    let at = 0;
    for (let i = 0; i < images; i++) {
      for (const x of parts) {
        const each = x.length / images;
        y.set(x.subarray(i * each, (i + 1) * each), at);
        at += each;
      }
    }
    return y;
  },
});

/** The first rows of each image. */
export const slice_rows = op({
  op: "slice_rows",
  about: "The first rows of each image; the others are dropped.",
  fields: { x: value("[rows, width]"), count: size("rows of each image") },
  phase: "vision",
  width: ({ x }, width) => width(x),
  rows: ({ count }) => count,
  run({ x, count }, r) {
    const v = r.value(x), images = r.segments.length, width = r.width(x);
    const each = v.length / images,
      y = r.executor.zeros(images * count * width);
    for (let i = 0; i < images; i++) {
      const rows = v.subarray(i * each, i * each + count * width);
      y.set(rows, i * count * width);
    }
    return y;
  },
});

/** What a watcher may ask of rows. */
export interface RowHooks {
  /** Run `last_row` as if every row were the last: calibration and perplexity want all rows of the head. */
  readonly everyRow?: boolean;
}

/** The last row of a chunk. */
export const last_row = op({
  op: "last_row",
  about: "Only the last row of the chunk goes on.",
  fields: { x: value("[rows, width]") },
  phase: "text",
  width: ({ x }, width) => width(x),
  run({ x }, r: Runner<RowHooks>): Floats {
    const v = r.value(x), width = v.length / r.modality.length;
    if (r.hooks.everyRow) return v;
    const ends = r.segments.map((s) => s.start + s.count - 1);
    const y = r.executor.zeros(ends.length * width);
    for (const [i, row] of ends.entries()) {
      y.set(v.subarray(row * width, (row + 1) * width), i * width);
    }
    r.modality = Uint8Array.from(ends, (row) => r.modality[row]);
    return y;
  },
});
