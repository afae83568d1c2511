/**
 * What enters a model: image patches, learned embeddings, token embeddings.
 * @module
 */
import { choice, count, optional, side, size, tensor } from "../field.ts";
import { gridRows, INTERPOLATIONS, tableRowsOf } from "../grid.ts";
import { imageInfoOf } from "../info.ts";
import { op, parameter } from "../op.ts";

/** Image patches. */
export const patch_input = op({
  op: "patch_input",
  about:
    "Image patches, one row each: [patches, 3·patchSize²], normalised pixels in (channel, y, x) order.",
  fields: {
    width: size("3·patchSize²"),
    extraRows: optional(
      count(
        "rows of the vision phase behind the patches of an image that hold no pixels, such as a class token's; default 0",
      ),
    ),
  },
  phase: "vision",
  check({ width }, { info, expect }) {
    expect(3 * imageInfoOf(info).patchSize ** 2, width, "width");
  },
  run: ({ id }, r) => r.value(id), // handed in
});

/** A learned table. */
export const learned_embedding = op({
  op: "learned_embedding",
  about:
    "A learned table, the same for every image, such as position embeddings or the queries of a resampler: [rows, width].",
  fields: {
    weight: tensor("[rows, width]"),
    width: size("channels"),
    rows: optional(
      size(
        "rows per image; those at the start of the vision phase where absent",
      ),
    ),
    gridSize: optional(
      side(
        "the table is a square of so many rows along each side, resampled to each picture's grid of patches",
      ),
    ),
    interpolation: optional(
      choice(
        INTERPOLATIONS,
        "how it is resampled: the row of the nearest bucket; the sum of a row for the column (the first gridSize) and one for the row (the others); bilinear with antialiasing; bilinear with aligned corners where absent",
      ),
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

/** Token embeddings. */
export const embedding = op({
  op: "embedding",
  about: "Token embeddings: one row of the table per text token.",
  fields: {
    weight: tensor("[vocabulary, width], integers"),
    width: size("channels"),
  },
  phase: "text",
  tensors: ({ weight: name, width }, { vocabulary }) => [
    { kind: "weight", name, shape: [vocabulary, width], grouped: false },
  ],
  run({ weight, width }, { executor, param, ids, info }) {
    const table = param(weight);
    const text = ids.filter((id) => id !== info.image?.tokenId);
    const out = executor.zeros(text.length * width);
    for (const [i, id] of text.entries()) {
      out.set(table.subarray(id * width, (id + 1) * width), i * width);
    }
    return out;
  },
});
