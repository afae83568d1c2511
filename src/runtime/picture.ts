/**
 * From what a caller calls an image to the bytes the vision tower takes.
 * @module
 */
import { decode } from "../image/decode.ts";
import { checkSize, IMAGE_LIMITS, ImageError } from "../image/image.ts";
import {
  atMostTiles,
  type ImagePlan,
  preprocess,
  towerTile,
} from "../image/preprocess.ts";
import { RuntimeError } from "./error.ts";

/** An image: the bytes of a JPEG, PNG or WebP file, or RGB pixels [height, width, 3]. */
export type ImageInput = Uint8Array | {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** Bytes R, G, B of each pixel, row by row. */
  readonly data: Uint8Array;
};

/** A picture as the tower sees it. */
export interface TowerTiles {
  /** RGB bytes [height, width, 3] each; where the picture was cut, row by row, the whole one last. */
  readonly tiles: readonly Uint8Array[];
  /** Rows of tiles; 0 where the picture was not cut. */
  readonly rows: number;
  /** Columns of tiles; 0 where the picture was not cut. */
  readonly cols: number;
}

/**
 * Pixels of the tower's size, in at most `most` tiles.
 * @throws {ImageError} where the image cannot be read
 */
export async function towerTiles(
  image: ImageInput,
  plan: ImagePlan,
  size: {
    readonly width: number;
    readonly height: number;
    readonly patch: number;
  },
  most: number,
): Promise<TowerTiles> {
  const picture = image instanceof Uint8Array
    ? await decode(image)
    : pixels(image);
  const made = preprocess(picture, atMostTiles(plan, most));
  const { rows, cols, width, height } = made;
  const tiles = made.tiles.map((tile) => {
    const fit = towerTile({ ...made, tiles: [tile] }, size);
    if (fit) return fit;
    throw new RuntimeError(
      "image",
      `Cannot use preprocessor_config.json: it must make tiles of ${size.width} × ${size.height} pixels: it makes some of ${width} × ${height}`,
    );
  });
  return { tiles, rows, cols };
}

function pixels({ width, height, data }: Exclude<ImageInput, Uint8Array>) {
  checkSize(width, height, IMAGE_LIMITS);
  if (data.length !== width * height * 3) {
    throw new ImageError(
      "damaged",
      `Cannot take an image of ${width} × ${height} pixels: data must have ${
        width * height * 3
      } bytes (RGB): it has ${data.length}`,
    );
  }
  return { width, height, data: data as Uint8Array<ArrayBuffer> };
}
