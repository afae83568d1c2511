/**
 * Preprocessing: resizes a picture and cuts it into tiles by an `ImagePlan`.
 * Tiles stay bytes: value = byte · rescale, then (value − mean) / std, which
 * the patch quantizer folds into its table.
 * @module
 */
import { roundEven } from "../tensor/round.ts";
import type { Image } from "./image.ts";
import type { ImagePlan, Size, TileCount, Tiling } from "./plan.ts";
import { type Resampling, resize, resizeInFloats } from "./resize.ts";
import { MOST_TILES, refuse } from "./settings.ts";
import { smartResize } from "./smart_resize.ts";

/** Tiles ready for the vision tower. */
export interface Tiles {
  /** Row by row; the whole picture last, or first (MiniCPM-V, nanoVLM). */
  readonly tiles: readonly Image[];
  /** Rows of tiles; 0 where the picture was not cut. */
  readonly rows: number;
  /** Columns of tiles; 0 where the picture was not cut. */
  readonly cols: number;
}

/** Longer edge of a picture that is resized by its shorter one. */
const LARGEST_RESIZED = 65_535;

/** Rows that are padded at once. */
const STRIP = 64;

/** A tiling of one kind. */
type Of<K extends Tiling["kind"]> = Extract<Tiling, { readonly kind: K }>;

/** The tiles of `image` under `plan`; throws `ImageError` "settings" where there would be too many. */
export function preprocess(image: Image, plan: ImagePlan): Tiles {
  const { tiling, resampling } = plan;
  const fit = ({ width, height }: Size) =>
    whole(resize(image, width, height, resampling));
  switch (tiling.kind) {
    case "resize":
      return fit(tiling.size);
    case "crop":
      return whole(middle(image, tiling, resampling));
    case "pad":
      return whole(squared(image, tiling, resampling));
    case "split":
      return splitTiles(image, tiling, resampling);
    case "grid":
      return gridTiles(image, tiling, tiling.size, resampling);
    case "native": {
      const { bounds, cut } = tiling, small = smartResize(image, bounds);
      const units = (side: number) => wholeUnits(side, bounds.unit);
      return cut && units(image.height) * units(image.width) > cut.above
        ? gridTiles(image, cut, small, resampling)
        : fit(small);
    }
    case "slices":
      return slices(image, tiling, resampling);
    case "whole tiles":
      return dynamicTiles(image, tiling, resampling);
  }
}

/** A picture that is not cut. */
function whole(image: Image): Tiles {
  return { tiles: [image], rows: 0, cols: 0 };
}

/** `get_resize_output_image_size` and `center_crop`. */
function middle(
  image: Image,
  { shortest, size }: Of<"crop">,
  resampling: Resampling,
): Image {
  const short = Math.min(image.width, image.height);
  const to = (n: number) =>
    n === short ? shortest : Math.trunc(shortest * n / short);
  const { width, height } = {
    width: to(image.width),
    height: to(image.height),
  };
  if (Math.max(width, height) > LARGEST_RESIZED) {
    refuse(
      `the picture of ${image.width} × ${image.height} pixels becomes ${width} × ${height} before its middle is taken, at most ${LARGEST_RESIZED} are allowed`,
    );
  }
  const left = Math.floor((width - size.width) / 2);
  const top = Math.floor((height - size.height) / 2);
  const large = resize(image, width, height, resampling);
  return crop(large, left, top, size.width, size.height);
}

/**
 * `pad_to_square`, then a resize. A resize of a square goes across first, so the
 * square is made and narrowed a few rows at a time: of a long picture it would
 * not fit into memory.
 */
function squared(
  image: Image,
  { size: { width, height }, color }: Of<"pad">,
  resampling: Resampling,
): Image {
  const side = Math.max(image.width, image.height);
  const left = Math.floor((side - image.width) / 2);
  const top = Math.floor((side - image.height) / 2);
  const narrow = new Uint8Array(side * width * 3);
  for (let y = 0; y < side; y += STRIP) {
    const rows = Math.min(STRIP, side - y);
    const data = new Uint8Array(rows * side * 3);
    for (let i = 0; i < data.length; i++) data[i] = color[i % 3];
    for (let r = 0; r < rows; r++) {
      const from = y + r - top;
      if (from < 0 || from >= image.height) continue;
      const begin = from * image.width * 3;
      const row = image.data.subarray(begin, begin + image.width * 3);
      data.set(row, (r * side + left) * 3);
    }
    const strip = { width: side, height: rows, data };
    narrow.set(
      resize(strip, width, rows, resampling).data,
      y * width * 3,
    );
  }
  const square = { width, height: side, data: narrow };
  return resize(square, width, height, resampling);
}

/** Idefics3's tiles, or one. */
function splitTiles(
  image: Image,
  tiling: Of<"split">,
  resampling: Resampling,
): Tiles {
  const { first, tile, split } = tiling;
  if (first) {
    const { height, width } = "longestEdge" in first
      ? fitLongestEdge(image, longestEdge(image, first.longestEdge, tiling))
      : first;
    image = resize(image, width, height, resampling);
  }
  return split
    ? cut(image, tile, resampling)
    : whole(resize(image, tile, tile, resampling));
}

/** `_resize_output_size_rescale_to_max_len`, then `_scale_below_upper_bound`: odd short sides grow by one. */
function fitLongestEdge({ width, height }: Image, longest: number) {
  const aspect = width / height;
  const even = (n: number) => Math.max(1, n + n % 2);
  // `longest` is at most LARGEST, so the upper bound never acts.
  return width >= height
    ? { width: longest, height: even(Math.trunc(longest / aspect)) }
    : { width: even(Math.trunc(longest * aspect)), height: longest };
}

/** The processor's longest edge, reduced by whole tiles until the picture has at most `most` tiles. */
function longestEdge(
  image: Image,
  longest: number,
  { split, tile, most }: Of<"split">,
): number {
  if (!split || most === undefined) return longest;
  for (; longest > tile; longest -= tile) {
    const { width, height } = wholeTiles(fitLongestEdge(image, longest), tile);
    if (width / tile * (height / tile) + 1 <= most) return longest;
  }
  return Math.min(longest, tile);
}

/** `get_optimal_tiled_canvas` and `crop_image_to_patches` (transformers, models/got_ocr2/image_processing_pil_got_ocr2.py); the whole picture, at the end, has the size `small`. */
function gridTiles(
  image: Image,
  { size, count }: { readonly size: Size; readonly count: TileCount },
  small: Size,
  resampling: Resampling,
): Tiles {
  const { least, most } = count;
  const grids: [number, number][] = [];
  for (let cols = 1; cols <= most; cols++) {
    for (let rows = 1; rows <= most; rows++) {
      if (cols * rows <= most && cols * rows >= least) grids.push([cols, rows]);
    }
  }
  grids.sort((a, b) => a[0] * a[1] - b[0] * b[1]); // stable, as Python's
  const aspect = image.width / image.height, area = image.width * image.height;
  let [cols, rows] = [1, 1], best = Infinity;
  for (const [c, r] of grids) {
    const off = Math.abs(aspect - c / r);
    if (
      off < best ||
      off === best && area > 0.5 * size.height * size.width * c * r
    ) {
      best = off;
      [cols, rows] = [c, r];
    }
  }
  const tiles = grid(image, size, rows, cols, resampling);
  if (rows * cols === 1) return whole(tiles[0]);
  tiles.push(resize(image, small.width, small.height, resampling));
  return { tiles, rows, cols };
}

/** A picture resized to a grid of tiles, and cut, row by row. */
function grid(
  image: Image,
  { height, width }: Size,
  rows: number,
  cols: number,
  resampling: Resampling,
): Image[] {
  const large = resize(image, width * cols, height * rows, resampling);
  return rows * cols === 1 ? [large] : parts(large, width, height);
}

/** A picture cut into parts of one size, row by row. */
function parts(image: Image, width: number, height: number): Image[] {
  const tiles: Image[] = [];
  for (let y = 0; y < image.height; y += height) {
    for (let x = 0; x < image.width; x += width) {
      tiles.push(crop(image, x, y, width, height));
    }
  }
  return tiles;
}

/**
 * `DynamicResize` and `GlobalAndSplitImages` of nanoVLM (data/custom_transforms.py).
 * The original keeps the whole picture in floats; here it is rounded to bytes.
 */
function dynamicTiles(
  image: Image,
  { tile, longest, grow, most = MOST_TILES }: Of<"whole tiles">,
  resampling: Resampling,
): Tiles {
  const units = (n: number) => Math.max(Math.ceil(n / tile), 1);
  const longer = Math.max(image.width, image.height);
  const shorter = Math.min(image.width, image.height);
  let long = grow ? longest / tile : Math.min(longest / tile, units(longer));
  const short = () => units(shorter * (long * tile / longer));
  while (long > 1 && long * short() > Math.min(most, MOST_TILES)) long--;
  const [cols, rows] = image.width >= image.height
    ? [long, short()]
    : [short(), long];
  const large = resize(image, cols * tile, rows * tile, resampling);
  if (rows * cols === 1) return whole(large);
  const small = resizeInFloats(large, tile, tile);
  return { tiles: [small, ...parts(large, tile, tile)], rows, cols };
}

/** The size with about side² pixels and the picture's aspect ratio, in whole patches (`find_best_resize`). */
function sizeOfArea(
  { width, height }: Size,
  { side, patch }: Of<"slices">,
): Size {
  const aspect = width / height;
  const down = Math.trunc(side / Math.sqrt(aspect));
  return {
    width: wholeUnits(Math.trunc(down * aspect), patch),
    height: wholeUnits(down, patch),
  };
}

/** The nearest multiple of a unit, at least one (`ensure_divide`; Python rounds halves to even). */
function wholeUnits(n: number, unit: number): number {
  return Math.max(roundEven(n / unit) * unit, unit);
}

/** `get_sliced_grid` and `slice_image` of MiniCPM-V: about area / side² slices, on the grid nearest the picture's aspect ratio. */
function slices(
  image: Image,
  tiling: Of<"slices">,
  resampling: Resampling,
): Tiles {
  const { most, side } = tiling;
  const { width, height } = sizeOfArea(image, tiling);
  const small = resize(image, width, height, resampling);
  const area = image.width * image.height / side ** 2;
  const wanted = Math.min(Math.ceil(area), most);
  let [cols, rows] = [1, 1], best = Infinity;
  if (wanted > 1) {
    const aspect = Math.log(image.width / image.height);
    for (const count of [wanted - 1, wanted, wanted + 1]) {
      if (count === 1 || count > most) continue;
      for (let c = 1; c <= count; c++) {
        if (count % c !== 0) continue;
        const off = Math.abs(aspect - Math.log(c / (count / c)));
        if (off < best) best = off, cols = c, rows = count / c;
      }
    }
  }
  if (rows * cols === 1) return whole(small);
  const one = sizeOfArea({ // `get_refine_size`
    width: wholeUnits(image.width, cols) / cols,
    height: wholeUnits(image.height, rows) / rows,
  }, tiling);
  const tiles = grid(image, one, rows, cols, resampling);
  return { tiles: [small, ...tiles], rows, cols };
}

/** `resize_for_vision_encoder`: both sides rounded up to whole tiles. */
function wholeTiles(
  image: Size,
  tile: number,
): Size {
  const whole = (n: number) => Math.ceil(n / tile) * tile;
  const aspect = image.width / image.height;
  let { width, height } = image;
  if (width >= height) {
    width = whole(width);
    height = whole(Math.trunc(width / aspect));
  } else {
    height = whole(height);
    width = whole(Math.trunc(height * aspect));
  }
  // A side of 0 (extreme aspect ratio) still needs one tile.
  width = Math.max(width, tile);
  height = Math.max(height, tile);
  return { width, height };
}

/** `resize_for_vision_encoder` and `split_images`. */
function cut(image: Image, tile: number, resampling: Resampling): Tiles {
  const { width, height } = wholeTiles(image, tile);
  const [rows, cols] = [height / tile, width / tile];
  if (rows * cols > MOST_TILES) {
    refuse(
      `the picture makes ${rows} × ${cols} tiles, at most ${MOST_TILES} are allowed`,
    );
  }
  const large = resize(image, width, height, resampling);
  if (rows === 1 && cols === 1) return whole(large);
  const small = resize(large, tile, tile, resampling);
  return { tiles: [...parts(large, tile, tile), small], rows, cols };
}

function crop(
  { width, data }: Image,
  x: number,
  y: number,
  across: number,
  down: number,
): Image {
  const out = new Uint8Array(across * down * 3);
  for (let row = 0; row < down; row++) {
    const begin = ((y + row) * width + x) * 3;
    out.set(data.subarray(begin, begin + across * 3), row * across * 3);
  }
  return { width: across, height: down, data: out };
}

/** Input of a vision tower. */
interface TowerInput {
  readonly width: number;
  readonly height: number;
  readonly patchSize: number;
  readonly nativeResolution?: true;
}

/**
 * A tile cropped to the tower's whole patches. A tile may be up to a patch larger
 * (384 pixels, patches of 14): pixels at the right and the bottom are ignored, as in
 * a convolution without padding.
 * @returns undefined where the tile has another size
 */
export function towerTile(tile: Image, want: TowerInput): Image | undefined {
  if (want.nativeResolution) return tile;
  const [right, below] = [tile.width - want.width, tile.height - want.height];
  if (
    Math.min(right, below) < 0 || Math.max(right, below) >= want.patchSize
  ) return undefined;
  if (right === 0 && below === 0) return tile;
  return crop(tile, 0, 0, want.width, want.height);
}
