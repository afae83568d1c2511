/**
 * From a picture to the tiles a vision tower sees, as
 * preprocessor_config.json says (transformers,
 * models/idefics3/image_processing_pil_idefics3.py; SmolVLM's is the same).
 * Tiles stay bytes: value = byte · rescale, then (value − mean) / std, which
 * the patch quantizer folds into its table.
 * @module
 */
import { roundEven } from "../tensor/round.ts";
import { parseSettings, StrictJsonError } from "../format/strict_json.ts";
import { ImageError } from "./image.ts";
import type { Image } from "./image.ts";
import { resize } from "./resize.ts";
import type { Resampling } from "./resize.ts";
import { type PixelBounds, pixelBounds, smartResize } from "./smart_resize.ts";
import { PROCESSOR_CLASSES, processorOf, withDefaults } from "./processors.ts";

/** What preprocessor_config.json asks for. */
export interface ImagePlan {
  /** First resize: squash to a size, or fit the longer edge; undefined: none. */
  readonly size:
    | { readonly height: number; readonly width: number }
    | { readonly longestEdge: number }
    | undefined;
  /** Side of the square tiles; undefined: one tile of the size after the first resize. */
  readonly tile: number | undefined;
  /** Cut a picture larger than a tile into tiles, with the whole picture as the last tile. */
  readonly split: boolean;
  /** Cut along the grid, of at most so many tiles, whose shape is nearest the picture's (InternVL); undefined: by the size after the first resize (Idefics3). */
  readonly canvas?: { readonly least: number; readonly most: number };
  /** Pictures keep their shape, at an area of side² in whole patches; cut, along a grid of at most `most` slices of that area each, whose shape is nearest the picture's by the ratio of their shapes, the whole picture first (MiniCPM-V). */
  readonly slices?: {
    readonly most: number;
    readonly side: number;
    readonly patch: number;
  };
  /** Most tiles of one picture, the whole one included; undefined: as many as it makes. */
  readonly mostTiles?: number;
  /** Pictures keep their shape, within bounds (Qwen2-VL); undefined: all get one size. With `canvas`, those of more than `cutAbove` pixels are cut into tiles of `size`, the whole picture last, within the bounds (LFM2-VL). */
  readonly bounds?: PixelBounds;
  readonly cutAbove?: number;
  /** The filter of every resize. */
  readonly resampling: Resampling;
  /** Factor from byte to value. */
  readonly rescale: number;
  /** Subtracted after rescaling, per channel R, G, B. */
  readonly mean: readonly [number, number, number];
  /** Divided by after subtracting the mean, per channel. */
  readonly std: readonly [number, number, number];
}

/** Tiles ready for the vision tower. */
export interface Tiles {
  /** Row by row; the whole picture last, or first in front of slices. */
  readonly tiles: readonly Image[];
  /** Rows of tiles; 0 where the picture was not cut. */
  readonly rows: number;
  /** Columns of tiles; 0 where the picture was not cut. */
  readonly cols: number;
}

const RESAMPLINGS: ReadonlyMap<unknown, Resampling> = new Map([
  [1, "lanczos"],
  [2, "bilinear"],
  [3, "bicubic"],
]);
const LARGEST = 4096; // MAX_IMAGE_SIZE of transformers
const MOST_TILES = 256;

function refuse(problem: string): never {
  throw new ImageError(
    "settings",
    `Cannot use preprocessor_config.json: ${problem.slice(0, 400)}`,
  );
}

/** Reads the text of a preprocessor_config.json; absent settings have the defaults of the class it names. Throws `ImageError` "settings". */
export function readImagePlan(text: string): ImagePlan {
  let json: Record<string, unknown>;
  try {
    json = withDefaults(parseSettings(text));
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    refuse(`it ${error.message}`);
  }
  if (/^MiniCPMV/.test(processorOf(json))) return readSlices(json);
  if (/^Lfm2Vl/.test(processorOf(json))) return readShaped(json);
  const resampling = RESAMPLINGS.get(json.resample) ??
    refuse(
      `resample must be 1 (Lanczos), 2 (bilinear) or 3 (bicubic): it is ${
        JSON.stringify(json.resample)
      }${
        json.resample === undefined
          ? `, and the class ${
            JSON.stringify(processorOf(json))
          } has no known default; known classes are ${
            PROCESSOR_CLASSES.join(", ")
          }`
          : ""
      }`,
    );
  const canvas = readCanvas(json);
  const split = json.do_image_splitting === true || canvas !== undefined;
  const tile = json.max_image_size === undefined ? undefined : side(
    "max_image_size.longest_edge",
    (json.max_image_size as Sizes)?.longest_edge,
  );
  const bounds = /^Qwen2VL/.test(processorOf(json))
    ? pixelBounds(json)
    : undefined;
  if (split && !canvas && tile === undefined) {
    refuse("do_image_splitting needs max_image_size");
  }
  const size = json.do_resize === false || bounds
    ? undefined
    : readSize(json.size as Size);
  if (size && "longestEdge" in size && tile === undefined) {
    refuse("size.longest_edge needs max_image_size");
  }
  if (size === undefined && tile === undefined && !bounds) {
    refuse(
      "do_resize is false and there is no max_image_size: the tower needs one size",
    );
  }
  const normalize = json.do_normalize !== false;
  const rescale = json.do_rescale === false
    ? 1
    : json.rescale_factor ?? 1 / 255;
  if (typeof rescale !== "number" || !(rescale > 0 && rescale <= 1)) {
    refuse(
      `rescale_factor must be above 0 and at most 1: it is ${
        JSON.stringify(rescale)
      }`,
    );
  }
  const std = triple("image_std", normalize ? json.image_std : [1, 1, 1]);
  if (std.some((s) => s <= 0)) refuse("image_std must be positive");
  return {
    size,
    tile,
    split,
    ...(canvas ? { canvas } : {}),
    ...(bounds ? { bounds } : {}),
    resampling,
    rescale,
    mean: triple("image_mean", normalize ? json.image_mean : [0, 0, 0]),
    std,
  };
}

/** GotOcr2's processor, which transformers' InternVLProcessor asks to cut whatever its settings say. */
function readCanvas(
  json: Record<string, unknown>,
): ImagePlan["canvas"] | undefined {
  if (!/^GotOcr2/.test(processorOf(json))) return undefined;
  const { min_patches: least = 1, max_patches: most = 12 } = json as Record<
    string,
    number
  >;
  if (
    !Number.isInteger(least) || !Number.isInteger(most) || least < 1 ||
    most < least || most > MOST_TILES
  ) {
    refuse(
      `min_patches and max_patches must be whole numbers from 1 to ${MOST_TILES}: they are ${
        JSON.stringify([least, most])
      }`,
    );
  }
  return { least, most };
}

/** MiniCPM-V's processor (image_processing_minicpmv.py). */
function readSlices(json: Record<string, unknown>): ImagePlan {
  const most = json.max_slice_nums ?? 9;
  if (
    !Number.isInteger(most) || most as number < 1 ||
    most as number > MOST_TILES
  ) {
    refuse(
      `max_slice_nums must be a whole number from 1 to ${MOST_TILES}: it is ${
        JSON.stringify(most)
      }`,
    );
  }
  const std = triple("norm_std", json.norm_std ?? [0.5, 0.5, 0.5]);
  if (std.some((s) => s <= 0)) refuse("norm_std must be positive");
  return {
    size: undefined,
    tile: undefined,
    split: json.slice_mode !== false,
    slices: {
      most: most as number,
      side: side("scale_resolution", json.scale_resolution ?? 448),
      patch: side("patch_size", json.patch_size ?? 14),
    },
    resampling: "bicubic",
    rescale: 1 / 255,
    mean: triple("norm_mean", json.norm_mean ?? [0.5, 0.5, 0.5]),
    std,
  };
}

/** LFM2-VL's processor (transformers, models/lfm2_vl/image_processing_lfm2_vl.py), which resizes with torch. */
function readShaped(json: Record<string, unknown>): ImagePlan {
  if (json.resample !== undefined && json.resample !== 2) {
    refuse(
      `resample must be 2 (bilinear): it is ${JSON.stringify(json.resample)}`,
    );
  }
  const count = (key: string, fallback: number) =>
    side(key, json[key] ?? fallback);
  const unit = count("encoder_patch_size", 16) * count("downsample_factor", 2);
  const tile = count("tile_size", 512),
    tolerance = json.max_pixels_tolerance ?? 2;
  const [least, most] = [count("min_tiles", 2), count("max_tiles", 10)];
  if (
    most < least || most > MOST_TILES || tile % unit !== 0 ||
    typeof tolerance !== "number" || !(tolerance >= 1 && tolerance <= 64)
  ) {
    refuse(
      `min_tiles, max_tiles, tile_size and max_pixels_tolerance must be at most ${MOST_TILES} tiles, in order, of whole tokens, and 1 to 64: they are ${
        JSON.stringify([least, most, tile, tolerance])
      }`,
    );
  }
  const pixels = (key: string, fallback: number) =>
    count(key, fallback) * unit ** 2;
  const bounds: PixelBounds = {
    unit,
    least: pixels("min_image_tokens", 64),
    most: pixels("max_image_tokens", 256),
    whole: true,
  };
  const std = triple("image_std", json.image_std ?? [0.5, 0.5, 0.5]);
  if (std.some((s) => s <= 0)) refuse("image_std must be positive");
  return {
    size: { height: tile, width: tile },
    tile: undefined,
    split: json.do_image_splitting !== false && json.use_thumbnail !== false,
    canvas: { least, most },
    bounds,
    cutAbove: bounds.most * tolerance,
    resampling: "torch-bilinear",
    rescale: 1 / 255,
    mean: triple("image_mean", json.image_mean ?? [0.5, 0.5, 0.5]),
    std,
  };
}

/** The plan that makes one tile of every picture, as transformers does with do_image_splitting false. */
export function oneTile(plan: ImagePlan): ImagePlan {
  return { ...plan, split: false };
}

/** The plan that makes at most `most` tiles of a picture, the whole one included. */
export function atMostTiles(plan: ImagePlan, most: number): ImagePlan {
  if (!plan.split || most < 3) return oneTile(plan); // two tiles would be one and itself again
  const { canvas, slices } = plan;
  if (slices) {
    const fewer = Math.min(slices.most, most - 1);
    return { ...plan, slices: { ...slices, most: fewer } };
  }
  if (!canvas) return { ...plan, mostTiles: most };
  const fewer = Math.min(canvas.most, most - 1);
  return {
    ...plan,
    canvas: { least: Math.min(canvas.least, fewer), most: fewer },
  };
}

/**
 * The plan whose pictures keep to `most` pixels, and have at least `least` where
 * that is given; of one size where the family's pictures are.
 */
export function withinPixels(
  plan: ImagePlan,
  most: number,
  least?: number,
): ImagePlan {
  const { bounds, size, canvas } = plan;
  if (!bounds) return plan;
  const kept = Math.min(bounds.most, most);
  // A tile is as large as the whole budget, or none is cut.
  const fits = !canvas || !size || !("height" in size) ||
    size.height * size.width <= most;
  return {
    ...plan,
    split: plan.split && fits,
    bounds: {
      ...bounds,
      most: kept,
      least: Math.min(least ?? bounds.least, kept),
    },
  };
}

/** Older files give a square's side as one number. */
type Size = Sizes | number;

interface Sizes {
  height?: unknown;
  width?: unknown;
  longest_edge?: unknown;
}

function readSize(json: Size | undefined): ImagePlan["size"] {
  if (typeof json === "number") {
    return { height: side("size", json), width: side("size", json) };
  }
  if (json?.longest_edge !== undefined) {
    return { longestEdge: side("size.longest_edge", json.longest_edge) };
  }
  return {
    height: side("size.height", json?.height),
    width: side("size.width", json?.width),
  };
}

function side(name: string, value: unknown): number {
  if (
    Number.isSafeInteger(value) && value as number >= 1 &&
    value as number <= LARGEST
  ) {
    return value as number;
  }
  return refuse(
    `${name} must be a whole number from 1 to ${LARGEST}: it is ${
      JSON.stringify(value)
    }`,
  );
}

function triple(name: string, value: unknown): [number, number, number] {
  if (
    Array.isArray(value) && value.length === 3 && value.every(Number.isFinite)
  ) return value as [number, number, number];
  return refuse(
    `${name} must be three numbers: it is ${JSON.stringify(value)}`,
  );
}

/** The tiles of `image` under `plan`; throws `ImageError` "settings" where there would be too many. */
export function preprocess(image: Image, plan: ImagePlan): Tiles {
  const { size, tile, split, resampling, canvas, slices, bounds } = plan;
  if (bounds) {
    const small = smartResize(image, bounds);
    if (split && canvas && size && "height" in size) {
      const [down, across] = [image.height, image.width]
        .map((side) => wholeUnits(side, bounds.unit));
      if (down * across > plan.cutAbove!) {
        return fitCanvas(image, size, canvas, resampling, small);
      }
    }
    return whole(resize(image, small.width, small.height, resampling));
  }
  if (split && canvas && size && "height" in size) {
    return fitCanvas(image, size, canvas, resampling);
  }
  if (slices) {
    return fitSlices(
      image,
      split ? slices : { ...slices, most: 1 },
      resampling,
    );
  }
  if (size) {
    const { height, width } = "longestEdge" in size
      ? fitLongestEdge(image, longestEdge(image, size.longestEdge, plan))
      : size;
    image = resize(image, width, height, resampling);
  }
  if (split) return cut(image, tile!, resampling);
  if (tile !== undefined) image = resize(image, tile, tile, resampling);
  return whole(image);
}

/** A picture that is not cut. */
function whole(image: Image): Tiles {
  return { tiles: [image], rows: 0, cols: 0 };
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

/** The longest edge that keeps to the plan's tiles: the processor's own, or as many tiles less. */
function longestEdge(
  image: Image,
  longest: number,
  { split, tile, mostTiles }: ImagePlan,
): number {
  if (!split || tile === undefined || mostTiles === undefined) return longest;
  for (; longest > tile; longest -= tile) {
    const { width, height } = wholeTiles(fitLongestEdge(image, longest), tile);
    if (width / tile * (height / tile) + 1 <= mostTiles) return longest;
  }
  return Math.min(longest, tile);
}

/** `get_optimal_tiled_canvas` and `crop_image_to_patches` (transformers, models/got_ocr2/image_processing_pil_got_ocr2.py); the whole picture, at the end, has the size `small`. */
function fitCanvas(
  image: Image,
  size: { readonly height: number; readonly width: number },
  { least, most }: { readonly least: number; readonly most: number },
  resampling: Resampling,
  small: { readonly height: number; readonly width: number } = size,
): Tiles {
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
  { height, width }: { readonly height: number; readonly width: number },
  rows: number,
  cols: number,
  resampling: Resampling,
): Image[] {
  const large = resize(image, width * cols, height * rows, resampling);
  if (rows * cols === 1) return [large];
  const tiles: Image[] = [];
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      tiles.push(crop(large, col * width, row * height, width, height));
    }
  }
  return tiles;
}

/** The size of side² pixels in a picture's shape, in whole patches (`find_best_resize`). */
function besideArea(
  { width, height }: { readonly width: number; readonly height: number },
  { side, patch }: { readonly side: number; readonly patch: number },
): { width: number; height: number } {
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

/** `get_sliced_grid` and `slice_image` of MiniCPM-V: as many slices as the area asks for, or one more or less. */
function fitSlices(
  image: Image,
  slices: NonNullable<ImagePlan["slices"]>,
  resampling: Resampling,
): Tiles {
  const { most, side } = slices;
  const { width, height } = besideArea(image, slices);
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
  const one = besideArea({ // `get_refine_size`
    width: wholeUnits(image.width, cols) / cols,
    height: wholeUnits(image.height, rows) / rows,
  }, slices);
  const tiles = grid(image, one, rows, cols, resampling);
  return { tiles: [small, ...tiles], rows, cols };
}

/** `resize_for_vision_encoder`: both sides grown to whole tiles. */
function wholeTiles(
  image: { readonly width: number; readonly height: number },
  tile: number,
): { width: number; height: number } {
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
  // A side that came to 0 (an extreme shape) still needs one tile.
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
  const tiles: Image[] = [];
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      tiles.push(crop(large, col * tile, row * tile, tile));
    }
  }
  tiles.push(resize(large, tile, tile, resampling));
  return { tiles, rows, cols };
}

function crop(
  { width, data }: Image,
  x: number,
  y: number,
  across: number,
  down = across,
): Image {
  const out = new Uint8Array(across * down * 3);
  for (let row = 0; row < down; row++) {
    const begin = ((y + row) * width + x) * 3;
    out.set(data.subarray(begin, begin + across * 3), row * across * 3);
  }
  return { width: across, height: down, data: out };
}

/** What a tower takes. */
interface Want {
  readonly width: number;
  readonly height: number;
  readonly patchSize: number;
  readonly nativeResolution?: true;
}

/**
 * A tile as the tower sees it. It may be up to a patch larger than the tower's
 * whole patches (384 pixels, patches of 14): the rest at the right and at the
 * bottom is never looked at, as in a convolution without padding.
 * @returns undefined where it has not that size
 */
export function towerTile(tile: Image, want: Want): Image | undefined {
  if (want.nativeResolution) return tile;
  const [right, below] = [tile.width - want.width, tile.height - want.height];
  if (
    Math.min(right, below) < 0 || Math.max(right, below) >= want.patchSize
  ) return undefined;
  if (right === 0 && below === 0) return tile;
  return crop(tile, 0, 0, want.width, want.height);
}
