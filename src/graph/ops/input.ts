/**
 * What enters a model: image patches, learned embeddings, token embeddings.
 * @module
 */
import { gatherRows } from "../executor.ts";
import * as f from "../field.ts";
import { gridRows, INTERPOLATIONS, tableRowsOf } from "../grid.ts";
import { imageInfoOf } from "../info.ts";
import { op, parameter } from "../op.ts";

export const patch_input = op({
  op: "patch_input",
  about:
    "Image patches, one row each: normalised pixels in (channel, y, x) order.",
  fields: {
    width: f.size("3·patchSize²"),
    extraRows: f.optional(
      f.count(
        "rows behind the patches of an image that hold no pixels, such as class tokens",
      ),
    ),
  },
  phase: "vision",
  check({ width }, { info, expect }) {
    expect(3 * imageInfoOf(info).patchSize ** 2, width, "width");
  },
  run: ({ id }, r) => r.value(id), // handed in
});

export const learned_embedding = op({
  op: "learned_embedding",
  about:
    "A learned table, the same for every image: position embeddings, the queries of a resampler.",
  fields: {
    weight: f.tensor("[rows, width]"),
    width: f.size("channels"),
    rows: f.optional(
      f.size("rows per image; default as many as the vision phase begins with"),
    ),
    gridSize: f.optional(
      f.side(
        "the table is a square of so many rows a side, resampled to a picture's grid",
      ),
    ),
    interpolation: f.optional(
      f.choice(INTERPOLATIONS)(
        "how it is resampled: the nearest bucket's row; the sum of a row for the column (the first gridSize) and one for the row; bilinear, antialiased; default bilinear with aligned corners",
      ),
      { with: "gridSize" },
    ),
  },
  phase: "vision",
  rows: ({ rows }) => rows,
  tensors: (node, { rows }) =>
    parameter(node.weight, tableRowsOf(node) ?? node.rows ?? rows, node.width),
  run(node, { executor, param, segments }) {
    const { width, gridSize, interpolation } = node, table = param(node.weight);
    const counts = segments.map((s) => node.rows ?? s.count);
    const out = executor.zeros(counts.reduce((a, b) => a + b) * width);
    let at = 0;
    for (const [i, { grid }] of segments.entries()) {
      const part = out.subarray(at, at += counts[i] * width);
      if (gridSize === undefined) part.set(table);
      else gridRows(table, { gridSize, interpolation }, width, grid!, part);
    }
    return out;
  },
});

export const embedding = op({
  op: "embedding",
  about: "Token embeddings: one row of the table per text token.",
  fields: {
    weight: f.tensor("[vocabulary, width], integers"),
    width: f.size("channels"),
  },
  phase: "text",
  tensors: ({ weight: name, width }, { vocabulary }) => [
    { kind: "weight", name, shape: [vocabulary, width], grouped: false },
  ],
  run({ weight, width }, { executor, param, ids, info }) {
    const text = ids.filter((id) => id !== info.image?.tokenId);
    return gatherRows(executor, param(weight), width, text);
  },
});
