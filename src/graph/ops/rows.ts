/**
 * Ops that move rows and columns: pixel shuffle, concatenation, slices.
 * @module
 */
import { type Floats, gatherRows } from "../executor.ts";
import * as f from "../field.ts";
import { inputsHave, op } from "../op.ts";
import type { Runner } from "../runner.ts";
import { windowsOf } from "../windows.ts";

/** The op `pixel_shuffle`; `about` defines it. */
export const pixel_shuffle = op({
  op: "pixel_shuffle",
  about:
    "factor² neighbouring patches become one row, row by row inside the square and from square to square (pixel_shuffle of Idefics3).",
  fields: {
    x: f.value("[patches, width]"),
    factor: f.size("patches along each side of a square"),
    width: f.size("channels of x; the result has width·factor²"),
  },
  phase: "vision",
  width: ({ width, factor }) => width * factor ** 2,
  rows({ x, factor }, rows) {
    const given = rows.value(x);
    return given === undefined ? undefined : given / factor ** 2;
  },
  check: inputsHave,
  run({ x, width, factor }, { executor, segments, value }) {
    let first = 0;
    const order = segments.flatMap(({ grid }) => {
      const { order } = windowsOf(grid!, factor, 1);
      first += order.length;
      return Array.from(order, (patch) => first - order.length + patch);
    });
    return gatherRows(executor, value(x), width, order);
  },
});

/** The op `concat_features`; `about` defines it. */
export const concat_features = op({
  op: "concat_features",
  about:
    "Concatenation along the channels of values with equal numbers of rows; passes several values from the vision phase to the text phase.",
  fields: { xs: f.values("[rows, width of each]") },
  width: ({ xs }, width) => xs.reduce((sum, x) => sum + width(x), 0),
  run({ id, xs }, { executor, value, width }) {
    const parts = xs.map(value), stride = width(id);
    const y = executor.zeros(parts.reduce((sum, x) => sum + x.length, 0));
    let at = 0;
    for (const [i, x] of parts.entries()) {
      const own = width(xs[i]);
      for (let row = 0; row < x.length / own; row++) {
        y.set(x.subarray(row * own, (row + 1) * own), row * stride + at);
      }
      at += own;
    }
    return y;
  },
});

/** The op `concat_rows`; `about` defines it. */
export const concat_rows = op({
  op: "concat_rows",
  about: "Concatenation along the rows, per image.",
  fields: { xs: f.values("[rows of each, width]") },
  phase: "vision",
  width: ({ xs }, width) => width(xs[0]),
  check(_, { widths, expect }) {
    for (const w of widths) expect(widths[0], w, "the width of each input");
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

/** The op `slice_rows`; `about` defines it. */
export const slice_rows = op({
  op: "slice_rows",
  about: "The first rows of each image; the others are dropped.",
  fields: { x: f.value("[rows, width]"), count: f.size("rows of each image") },
  phase: "vision",
  width: ({ x }, width) => width(x),
  rows: ({ count }) => count,
  run({ x, count }, r) {
    const v = r.value(x), images = r.segments.length, width = r.width(x);
    const each = v.length / images / width;
    const rows = Array.from(
      { length: images * count },
      (_, i) => Math.floor(i / count) * each + i % count,
    );
    return gatherRows(r.executor, v, width, rows);
  },
});

/** Hook of rows. */
export interface RowHooks {
  /** Keep all rows in `last_row`: calibration and perplexity need the logits of all rows. */
  readonly everyRow?: boolean;
}

/** The op `last_row`; `about` defines it. */
export const last_row = op({
  op: "last_row",
  about: "The last row of the chunk.",
  fields: { x: f.value("[rows, width]") },
  phase: "text",
  width: ({ x }, width) => width(x),
  run({ x }, r: Runner<RowHooks>): Floats {
    const v = r.value(x), width = v.length / r.modality.length;
    if (r.hooks.everyRow) return v;
    const ends = r.segments.map((s) => s.start + s.count - 1);
    r.modality = Uint8Array.from(ends, (row) => r.modality[row]);
    return gatherRows(r.executor, v, width, ends);
  },
});
