/**
 * Images as grids of patches. Most vision towers take one image size. With
 * `nativeResolution` an image keeps its aspect ratio, and its rows, positions and
 * tokens depend on its grid.
 * @module
 */
import type { ImageInfo } from "./info.ts";

/** Patches of an image: rows and columns. */
export interface Grid {
  readonly rows: number;
  readonly cols: number;
}

/** Grid of an image of `size` pixels. */
export function gridOf(
  { patchSize }: Pick<ImageInfo, "patchSize">,
  size: { readonly width: number; readonly height: number },
): Grid {
  return { rows: size.height / patchSize, cols: size.width / patchSize };
}

/** Grid of an image of the model's image size (`width` × `height` of its info). */
export function defaultGrid(
  image: Pick<ImageInfo, "patchSize" | "width" | "height">,
): Grid {
  return gridOf(image, image);
}

/** Patches of a grid. */
export function patchesIn({ rows, cols }: Grid): number {
  return rows * cols;
}

/** Patches per token along each side; 1 where the number of tokens is fixed. */
export function mergeOf(image: ImageInfo): number {
  if (image.fixedTokens) return 1;
  return Math.sqrt(patchesIn(defaultGrid(image)) / image.tokens);
}

/** Whether an image of the model's image size divides into tokens of square patch blocks. */
export function wholeTokens(image: ImageInfo): boolean {
  const merge = mergeOf(image), { rows, cols } = defaultGrid(image);
  return [merge, rows / merge, cols / merge].every(Number.isInteger);
}

/** Tokens of an image. */
export function tokensIn(image: ImageInfo, grid: Grid): number {
  if (image.fixedTokens) return image.tokens;
  return patchesIn(grid) * image.tokens / patchesIn(defaultGrid(image));
}

/**
 * Most patches of one image: those of the model's image size, or, with
 * `nativeResolution`, the whole tokens within `maxPixels`.
 */
export function maxPatches(image: ImageInfo, maxPixels?: number): number {
  const { height, width, patchSize, nativeResolution } = image;
  if (image.maxPatches !== undefined) return image.maxPatches;
  if (!nativeResolution) return patchesIn(defaultGrid(image));
  const square = mergeOf(image) ** 2;
  return Math.floor((maxPixels ?? height * width) / (patchSize ** 2 * square)) *
    square;
}

/** How a learned position table is resampled to an image's grid; default bilinear with aligned corners. */
export const INTERPOLATIONS = [
  "bucket",
  "axis_sum",
  "bilinear_antialias",
] as const;

/** Fields of a `learned_embedding` about resampling. */
export interface ResampledTable {
  readonly gridSize?: number | undefined;
  readonly interpolation?: typeof INTERPOLATIONS[number] | undefined;
}

/** Rows of a resampled table: [2·gridSize] for "axis_sum", else [gridSize²]; undefined where it is not resampled. */
export function tableRows(
  { gridSize, interpolation }: ResampledTable,
): number | undefined {
  if (gridSize === undefined) return undefined;
  return interpolation === "axis_sum" ? 2 * gridSize : gridSize ** 2;
}

/**
 * Resamples a position table to a grid.
 * @param table [tableRows, width]
 * @param out [rows·cols, width], row by row
 */
export function resampleTable(
  table: ArrayLike<number>,
  { gridSize, interpolation }: ResampledTable & { readonly gridSize: number },
  width: number,
  grid: Grid,
  out: { [i: number]: number },
): void {
  if (interpolation === undefined) {
    return resample(table, gridSize, width, grid, out);
  }
  const { rows, cols } = grid;
  if (interpolation === "bilinear_antialias") {
    return smooth(table, gridSize, width, grid, out);
  }
  const [down, across] = [rows, cols].map((n) => buckets(gridSize, n));
  let to = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++) {
      if (interpolation === "bucket") {
        const at = (down[y] * gridSize + across[x]) * width;
        for (let i = 0; i < width; i++) out[to++] = table[at + i];
      } else {
        const a = x * width, b = (gridSize + y) * width;
        for (let i = 0; i < width; i++) out[to++] = table[a + i] + table[b + i];
      }
    }
  }
}

/**
 * Bucket, 0 to side − 1, of each of n patches: the bucket that contains i/n
 * (modeling_navit_siglip.py, SiglipVisionEmbeddings). Positions and boundaries are
 * float32 ranges there, so a position on a boundary follows torch's rounding.
 */
export function buckets(side: number, n: number): number[] {
  const bounds = range(1 / side, 1 / side, side - 1);
  let b = 0;
  return range(0, Math.fround(1 / n), n).map((place) => {
    while (b < bounds.length && bounds[b] <= place) b++;
    return b;
  });
}

/** torch.arange in float32: vectors of eight from a rounded base, the rest one by one. */
function range(start: number, step: number, n: number): number[] {
  const whole = n - n % 8;
  return Array.from({ length: n }, (_, i) => {
    if (i >= whole) return Math.fround(start + step * i);
    return Math.fround(Math.fround(start + step * (i - i % 8)) + i % 8 * step);
  });
}

/**
 * Bilinear interpolation with aligned corners (transformers,
 * models/qwen3_vl/modeling_qwen3_vl.py, fast_pos_embed_interpolate).
 * @param table [side², width]
 * @param out [rows·cols, width], row by row
 */
function resample(
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

/**
 * Antialiased bilinear interpolation: cells have an area, and the filter widens when
 * the table shrinks (torch, interpolate with mode bilinear, align_corners false and
 * antialias true; SigLIP 2).
 */
function smooth(
  table: ArrayLike<number>,
  side: number,
  width: number,
  { rows, cols }: Grid,
  out: { [i: number]: number },
): void {
  const [down, across] = [rows, cols].map((n) => triangles(side, n));
  let to = 0;
  for (const y of down) {
    for (const x of across) {
      for (let i = 0; i < width; i++) {
        let sum = 0;
        for (const [r, a] of y) {
          for (const [c, b] of x) {
            sum += a * b * table[(r * side + c) * width + i];
          }
        }
        out[to++] = sum;
      }
    }
  }
}

/** For each of `to` cells, the source cells and their weights. */
function triangles(from: number, to: number): (readonly [number, number])[][] {
  const scale = from / to, radius = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - radius + 0.5));
    const end = Math.min(from, Math.trunc(center + radius + 0.5));
    const shares = Array.from({ length: end - first }, (_, k) => {
      const at = first + k;
      return [
        at,
        Math.max(0, 1 - Math.abs(at + 0.5 - center) / radius),
      ] as const;
    });
    const sum = shares.reduce((all, [, share]) => all + share, 0);
    return shares.map(([at, share]) => [at, share / sum] as const);
  });
}

/** Positions of `to` points on a line of `from`, with aligned ends. */
function line(from: number, to: number) {
  return Array.from({ length: to }, (_, i) => {
    const x = to === 1 ? 0 : i * (from - 1) / (to - 1);
    const low = Math.min(Math.floor(x), from - 1);
    return { low, high: Math.min(low + 1, from - 1), share: x - low };
  });
}
