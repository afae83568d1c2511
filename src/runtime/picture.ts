/**
 * From what a caller calls an image to the bytes the vision tower takes.
 * @module
 */
import { decode } from "../image/decode.ts";
import { checkSize, IMAGE_LIMITS, ImageError } from "../image/image.ts";
import { type ImagePlan, preprocess, towerTile } from "../image/preprocess.ts";
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

/**
 * Pixels of the tower's size, RGB bytes [height, width, 3].
 * @throws {ImageError} where the image cannot be read
 */
export async function towerPixels(
  image: ImageInput,
  plan: ImagePlan,
  size: {
    readonly width: number;
    readonly height: number;
    readonly patch: number;
  },
): Promise<Uint8Array> {
  const picture = image instanceof Uint8Array
    ? await decode(image)
    : pixels(image);
  const made = preprocess(picture, plan), tile = towerTile(made, size);
  if (!tile) {
    const { tiles, width, height } = made;
    throw new RuntimeError(
      "image",
      `Cannot use preprocessor_config.json: it must make one tile of ${size.width} × ${size.height} pixels: it makes ${tiles.length} of ${width} × ${height}`,
    );
  }
  return tile;
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
