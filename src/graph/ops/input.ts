/**
 * Inputs of a model: image patches, learned embeddings, token embeddings.
 * @module
 */
import { type Floats, gatherRows } from "../executor.ts";
import * as f from "../field.ts";
import {
  type Grid,
  INTERPOLATIONS,
  patchesIn,
  resampleTable,
  tableRows,
} from "../grid.ts";
import { imageInfoOf } from "../info.ts";
import { op, parameter } from "../op.ts";

/** The op `patch_input`; `about` defines it. */
export const patch_input = op({
  op: "patch_input",
  about:
    "Image patches, one row each: normalised pixels in (channel, y, x) order; or, with kernelSize, the window of pixels around each patch, zero-padded outside the image.",
  fields: {
    width: f.size("3·kernelSize², zero-padded to a multiple of 4"),
    kernelSize: f.optional(
      f.side("side of a window in pixels; default patchSize, without padding"),
    ),
    padding: f.optional(
      f.list(
        "two whole numbers",
        (n) => n === 2,
        f.offset(""),
      )("with kernelSize: rows above and columns left of the image that the first window covers, less than kernelSize"),
      { with: "kernelSize" },
    ),
    extraRows: f.optional(
      f.count(
        "rows after the patches of an image that hold no pixels, such as class tokens",
      ),
    ),
  },
  phase: "vision",
  check({ width, kernelSize, padding = [0], extraRows }, checker) {
    const { info, expect, fail } = checker, image = imageInfoOf(info);
    const side = kernelSize ?? image.patchSize;
    expect(Math.ceil(3 * side ** 2 / 4) * 4, width, "width");
    if (Math.max(...padding) >= side) {
      fail(`padding must be less than ${side}: it is ${padding}`);
    }
    if (kernelSize !== undefined && (image.nativeResolution || extraRows)) {
      fail(
        "kernelSize must come without nativeResolution and without extraRows",
      );
    }
  },
  run(node, r) {
    const { id, width, kernelSize } = node, patches = r.value(id); // the interpreter's input
    if (kernelSize === undefined) return patches;
    const { patchSize } = imageInfoOf(r.info);
    const windows = r.segments.flatMap(({ grid }) => grid ?? []);
    const total = windows.reduce((sum, grid) => sum + patchesIn(grid), 0);
    const out = r.executor.zeros(total * width);
    let from = 0, to = 0;
    for (const grid of windows) {
      const count = patchesIn(grid);
      const own = patches.subarray(from, from += count * 3 * patchSize ** 2);
      writeWindows(
        own,
        grid,
        patchSize,
        node,
        out.subarray(to, to += count * width),
      );
    }
    return out;
  },
});

/** Writes the windows around the patches of one image, as im2col does. */
function writeWindows(
  patches: Floats,
  { rows, cols }: Grid,
  patch: number,
  { width, kernelSize: side, padding: [top, left] = [0, 0] }: {
    readonly width: number;
    readonly kernelSize?: number;
    readonly padding?: readonly number[];
  },
  out: Floats,
): void {
  const area = side! ** 2,
    at = (y: number, x: number, c: number) => {
      const p = Math.floor(y / patch) * cols + Math.floor(x / patch);
      return ((p * 3 + c) * patch + y % patch) * patch + x % patch;
    };
  for (let p = 0; p < rows * cols; p++) {
    const first = Math.floor(p / cols) * patch - top;
    const begin = p % cols * patch - left;
    for (let j = 0; j < 3 * area; j++) {
      const y = first + Math.floor(j % area / side!), x = begin + j % side!;
      if (y < 0 || y >= rows * patch || x < 0 || x >= cols * patch) continue;
      out[p * width + j] = patches[at(y, x, Math.floor(j / area))];
    }
  }
}

/** The op `learned_embedding`; `about` defines it. */
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
        "side of a square table of positions that is resampled to an image's grid",
      ),
    ),
    interpolation: f.optional(
      f.choice(INTERPOLATIONS)(
        "resampling: bucket: the nearest bucket's row; axis_sum: the sum of a row for the column (the first gridSize) and one for the row; bilinear_antialias; default bilinear with aligned corners",
      ),
      { with: "gridSize" },
    ),
  },
  phase: "vision",
  rows: ({ rows }) => rows,
  tensors: (node, { rows }) =>
    parameter(node.weight, tableRows(node) ?? node.rows ?? rows, node.width),
  run(node, { executor, param, segments }) {
    const { width, gridSize, interpolation } = node, table = param(node.weight);
    const counts = segments.map((s) => node.rows ?? s.count);
    const out = executor.zeros(counts.reduce((a, b) => a + b) * width);
    let at = 0;
    for (const [i, { grid }] of segments.entries()) {
      const part = out.subarray(at, at += counts[i] * width);
      if (gridSize === undefined) part.set(table);
      else {resampleTable(
          table,
          { gridSize, interpolation },
          width,
          grid!,
          part,
        );}
    }
    return out;
  },
});

/** The op `embedding`; `about` defines it. */
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
