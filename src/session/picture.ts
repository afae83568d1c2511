/**
 * From what a caller calls an image to the bytes the vision tower takes.
 * @module
 */
import { decode } from "../image/decode.ts";
import { gridOf } from "../graph/grid.ts";
import type { ImageTiles } from "../graph/image_text.ts";
import type { ImageInfo } from "../graph/info.ts";
import {
  checkSize,
  type Image,
  IMAGE_LIMITS,
  ImageError,
} from "../image/image.ts";
import { rgbOf } from "../image/codec.ts";
import { atMostTiles, type ImagePlan, withinPixels } from "../image/plan.ts";
import { preprocess, towerTile } from "../image/preprocess.ts";
import { RuntimeError } from "../graph/error.ts";

/**
 * Bytes of a JPEG, PNG or WebP file, or pixels, row by row from the top left.
 *
 * ```ts
 * import { type Picture } from "@mquant/mquant";
 *
 * const black: Picture = { width: 8, height: 8, data: new Uint8Array(8 * 8 * 3) };
 * const canvas: Picture = new ImageData(8, 8);
 * console.log(black, canvas);
 * ```
 */
export type Picture = Uint8Array | ImageData | {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** Bytes R, G, B of each pixel, or R, G, B, A as in `ImageData`; A is ignored. */
  readonly data: Uint8Array | Uint8ClampedArray;
};

/**
 * An image: a picture, or where one is to be read from. A `URL`, or text that
 * begins with `data:`, `blob:`, `file:`, `http:` or `https:`, is an address;
 * other text is a path.
 *
 * ```ts
 * import { type ImageInput } from "@mquant/mquant";
 *
 * const inputs: ImageInput[] = [
 *   "models/photo-mini/photos/cat.jpg",
 *   new URL("https://example.org/cat.jpg"),
 *   await Deno.readFile("models/photo-mini/photos/cat.jpg"),
 * ];
 * console.log(inputs.length);
 * ```
 */
export type ImageInput = Picture | string | URL;

/** A picture, preprocessed for the vision tower. */
export interface TowerTiles extends ImageTiles {
  /** Tiles row by row, the whole picture last; one where it was not cut. */
  readonly tiles: readonly Image[];
}

/** Limits of preprocessing. */
export interface PictureLimits {
  /** Most tiles; default 1. */
  readonly tiles?: number;
  /** Most pixels, for families with native resolution. */
  readonly pixels?: number;
  /** Fewest pixels, for those families. */
  readonly least?: number;
}

/**
 * Decodes and preprocesses a picture, within limits.
 * @throws {ImageError} where the image cannot be read
 */
export async function towerTiles(
  image: Picture,
  plan: ImagePlan,
  info: ImageInfo,
  { tiles: most = 1, pixels: mostPixels = Infinity, least }: PictureLimits = {},
): Promise<TowerTiles> {
  const picture = image instanceof Uint8Array
    ? await decode(image)
    : pixels(image);
  const limited = withinPixels(atMostTiles(plan, most), mostPixels, least);
  const made = preprocess(picture, limited);
  const tiles = made.tiles.map((tile) => {
    const { width, height } = info, fit = towerTile(tile, info);
    if (fit) return fit;
    throw new RuntimeError(
      "image",
      `Cannot use preprocessor_config.json: it must make tiles of ${width} × ${height} pixels: it makes some of ${tile.width} × ${tile.height}`,
    );
  });
  const { rows, cols } = made;
  return { tiles, rows, cols, grids: tiles.map((tile) => gridOf(info, tile)) };
}

function pixels(
  { width, height, data }: Exclude<Picture, Uint8Array>,
): Image {
  checkSize(width, height, IMAGE_LIMITS);
  const { buffer, byteOffset, length } = data;
  if (data.BYTES_PER_ELEMENT !== 1) {
    throw new ImageError(
      "unsupported",
      `Cannot read the image: its data must be bytes: it is a ${data.constructor.name}; make its ImageData with pixelFormat "rgba-unorm8"`,
    );
  }
  const bytes = new Uint8Array(buffer as ArrayBuffer, byteOffset, length);
  if (length === width * height * 3) return { width, height, data: bytes };
  if (length === width * height * 4) {
    return { width, height, data: rgbOf(bytes) };
  }
  throw new ImageError(
    "damaged",
    `Cannot read an image of ${width} × ${height} pixels: data must have ${
      width * height * 3
    } bytes (RGB) or ${width * height * 4} (RGBA): it has ${length}`,
  );
}
