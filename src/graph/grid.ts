/**
 * Pictures as grids of patches. Most towers take one size; where `anySize` is
 * set a picture keeps its shape, and everything that depends on it (rows,
 * positions, tokens) follows from its grid.
 * @module
 */
import type { ImageInfo } from "./node.ts";

/** Patches of a picture, down and across. */
export interface Grid {
  readonly rows: number;
  readonly cols: number;
}

/** Grid of a picture of so many pixels. */
export function gridOf(
  { patch }: Pick<ImageInfo, "patch">,
  size: { readonly width: number; readonly height: number },
): Grid {
  return { rows: size.height / patch, cols: size.width / patch };
}

/** Grid of a picture of the tower's own size. */
export function ownGrid(
  image: Pick<ImageInfo, "patch" | "width" | "height">,
): Grid {
  return gridOf(image, image);
}

/** Patches of a grid. */
export function patchesIn({ rows, cols }: Grid): number {
  return rows * cols;
}

/** Patches that become one token, along each side. */
export function mergeOf(image: ImageInfo): number {
  return Math.sqrt(patchesIn(ownGrid(image)) / image.tokens);
}

/** Tokens of a picture. */
export function tokensIn(image: ImageInfo, grid: Grid): number {
  return patchesIn(grid) * image.tokens / patchesIn(ownGrid(image));
}

/**
 * Most patches of one picture: those of the tower's own size, or, where pictures
 * keep their shape, whole squares of tokens within `maxPixels`.
 */
export function mostPatches(image: ImageInfo, maxPixels?: number): number {
  const { height, width, patch, anySize } = image;
  if (!anySize) return patchesIn(ownGrid(image));
  const square = mergeOf(image) ** 2;
  return Math.floor((maxPixels ?? height * width) / (patch ** 2 * square)) *
    square;
}

/**
 * A square table of positions at another grid, bilinear with the corners in
 * place (transformers, models/qwen3_vl/modeling_qwen3_vl.py,
 * fast_pos_embed_interpolate).
 * @param table [side², width]
 * @param out [rows·cols, width], row by row
 */
export function resample(
  table: ArrayLike<number>,
  side: number,
  width: number,
  { rows, cols }: Grid,
  out: { [i: number]: number },
): void {
  const across = line(side, cols);
  let to = 0;
  for (const y of line(side, rows)) {
    for (const x of across) {
      const at = (row: number, col: number) => (row * side + col) * width;
      const [a, b] = [at(y.low, x.low), at(y.low, x.high)];
      const [c, d] = [at(y.high, x.low), at(y.high, x.high)];
      for (let i = 0; i < width; i++) {
        const top = table[a + i] * (1 - x.share) + table[b + i] * x.share;
        const bottom = table[c + i] * (1 - x.share) + table[d + i] * x.share;
        out[to++] = top * (1 - y.share) + bottom * y.share;
      }
    }
  }
}

/** Where `to` points, the ends in place, fall on a line of `from`. */
function line(from: number, to: number) {
  return Array.from({ length: to }, (_, i) => {
    const x = to === 1 ? 0 : i * (from - 1) / (to - 1);
    const low = Math.min(Math.floor(x), from - 1);
    return { low, high: Math.min(low + 1, from - 1), share: x - low };
  });
}
