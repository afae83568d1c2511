/**
 * Tables that depend on an image's grid: 2D rotary tables, and position tables
 * resampled to the grid. They are written before the vision phase runs on an image
 * whose grid differs from the previous one.
 * @module
 */
import {
  type Grid,
  gridOf,
  mergeOf,
  patchesIn,
  resampleTable,
  tableRows,
} from "../graph/grid.ts";
import type { ImageInfo, ModelInfo } from "../graph/info.ts";
import type { LearnedEmbeddingNode } from "../graph/node.ts";
import { rope2dTables } from "../graph/rope.ts";
import type { Image } from "../image/image.ts";
import { RuntimeError } from "../graph/error.ts";

/** A table in the plan's memory that depends on the grid. */
export type GridTable =
  | {
    readonly kind: "rotary";
    /** Address of [patches, headDim/2] cosines. */
    readonly cos: number;
    /** Address of the sines, likewise. */
    readonly sin: number;
    readonly theta: number;
    readonly headDim: number;
  }
  | {
    readonly kind: "table";
    /** Address of the learned table, [side², width]. */
    readonly from: number;
    /** Address of the resampled table, [patches, width]. */
    readonly to: number;
    readonly width: number;
    readonly gridSize: number;
    readonly interpolation?: NonNullable<LearnedEmbeddingNode["interpolation"]>;
  };

/** Writes the tables and remembers for which grid. */
export class GridWriter {
  #written: Grid | undefined;

  /** No table is written yet. */
  constructor(
    private readonly tables: readonly GridTable[],
    private readonly memory: ArrayBufferLike,
  ) {}

  /** Writes the tables of `grid`; rotary ones in the given order of its patches. */
  write(grid: Grid, order?: Int32Array): void {
    const { rows, cols } = this.#written ?? {};
    for (const t of this.tables) if (t.kind === "table") checkSides(t, grid);
    if (rows === grid.rows && cols === grid.cols) return;
    for (const table of this.tables) this.#fill(table, grid, order);
    this.#written = grid;
  }

  #fill(t: GridTable, grid: Grid, order?: Int32Array): void {
    const floats = (at: number, n: number) =>
      new Float32Array(this.memory, at, n);
    if (t.kind === "rotary") {
      const { cos, sin } = rope2dTables(t.theta, t.headDim, grid);
      const half = t.headDim / 2;
      const put = (at: number, rows: Float32Array) => {
        const to = floats(at, rows.length);
        if (!order) return to.set(rows);
        order.forEach((from, i) =>
          to.set(rows.subarray(from * half, (from + 1) * half), i * half)
        );
      };
      put(t.cos, cos);
      put(t.sin, sin);
      return;
    }
    const { width } = t, out = floats(t.to, patchesIn(grid) * width);
    const table = floats(t.from, tableRows(t)! * width);
    resampleTable(table, t, width, grid, out);
  }
}

/** Throws where an image has more rows or columns of patches than an "axis_sum" table. */
function checkSides(
  { interpolation, gridSize }: Pick<LearnedEmbeddingNode, "interpolation"> & {
    readonly gridSize: number;
  },
  { rows, cols }: Grid,
): void {
  if (interpolation !== "axis_sum" || Math.max(rows, cols) <= gridSize) return;
  throw new RuntimeError(
    "image",
    `Cannot read the image: it must have at most ${gridSize} patches along a side: it has ${rows} × ${cols}; crop it`,
  );
}

/** Largest `maxPixels`: 4096 × 4096. */
const MOST_PIXELS = 2 ** 24;

/** Checks the option `maxPixels`. Throws a `RuntimeError` "option". */
export function checkPixels(
  { image }: ModelInfo,
  maxPixels: number | undefined,
): void {
  if (maxPixels === undefined || !image?.nativeResolution) return;
  const least = (image.patchSize * mergeOf(image)) ** 2;
  if (
    Number.isInteger(maxPixels) && maxPixels >= least &&
    maxPixels <= MOST_PIXELS
  ) return;
  throw new RuntimeError(
    "option",
    `Cannot open the model: maxPixels must be a whole number from ${least} (one token) to ${MOST_PIXELS}: current value is ${maxPixels}`,
  );
}

/**
 * The grid of an image. It must have the model's image size, or, with native
 * resolution, sides of whole tokens and at most `patches` patches.
 * @throws {RuntimeError} "image"
 */
export function checkedGrid(
  image: ImageInfo,
  { width, height, data }: Image,
  patches: number,
): Grid {
  const grid = gridOf(image, { width, height });
  const unit = image.patchSize * mergeOf(image);
  const fits = image.nativeResolution
    ? width % unit === 0 && height % unit === 0 && patchesIn(grid) <= patches
    : width === image.width && height === image.height;
  if (fits && width > 0 && data.length === width * height * 3) return grid;
  const want = image.nativeResolution
    ? `sides that are multiples of ${unit} and at most ${
      patches * image.patchSize ** 2
    } pixels`
    : `${image.width} × ${image.height} pixels`;
  throw new RuntimeError(
    "image",
    `Cannot read the image: it must have ${want}, 3 bytes each: it has ${width} × ${height} in ${data.length} bytes`,
  );
}
