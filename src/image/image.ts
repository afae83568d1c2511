/**
 * Pixels, errors and size limits of pictures.
 * @module
 */

/** A picture of 8-bit sRGB pixels. */
export interface Image {
  /** Pixels across. */
  readonly width: number;
  /** Pixels down. */
  readonly height: number;
  /** Bytes R, G, B of each pixel, row by row from the top left: [height, width, 3]. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Header of a picture file. */
export interface Header {
  /** Pixels across, as stored. */
  readonly width: number;
  /** Pixels down, as stored. */
  readonly height: number;
  /** Exif orientation, 1 to 8. */
  readonly orientation: number;
}

/**
 * Kinds of errors in pictures.
 *
 * ```ts
 * import { type ImageErrorCode } from "@mquant/mquant";
 *
 * const smaller: ImageErrorCode = "too_large";
 * console.log(smaller); // try again with a smaller picture
 * ```
 */
export type ImageErrorCode =
  /** Not a known image format. */
  | "unknown_kind"
  /** A known format in a variant that is not supported. */
  | "unsupported"
  /** Beyond a limit. */
  | "too_large"
  /** The file ends early. */
  | "truncated"
  /** The file violates its format. */
  | "damaged"
  /** Image settings that are not supported. */
  | "settings";

/**
 * A picture cannot be read; `code` is the kind of error.
 *
 * ```ts
 * import { ImageError, open } from "@mquant/mquant";
 *
 * await using model = await open(
 *   "models/photo-mini/photo-mini.w4a8.safetensors",
 * );
 * try {
 *   await model.caption(new TextEncoder().encode("no picture"));
 * } catch (error) {
 *   if (!(error instanceof ImageError)) throw error;
 *   console.log(error.code); // unknown_kind
 * }
 * ```
 */
export class ImageError extends Error {
  /** Kind of error. */
  readonly code: ImageErrorCode;

  /** `problem` follows "Cannot decode NAME: ". */
  constructor(code: ImageErrorCode, problem: string, name?: string) {
    super(
      name === undefined
        ? problem
        : `Cannot decode ${JSON.stringify(name)}: ${problem}`,
    );
    this.name = "ImageError";
    this.code = code;
  }
}

/** Size limits of pictures, checked in the header before decoding. */
export interface ImageLimits {
  /** Bytes of the file. */
  readonly fileBytes: number;
  /** Width × height. */
  readonly pixels: number;
  /** Longer side over shorter side. */
  readonly aspect: number;
}

/** Default limits: 64 MB, 50 megapixels, aspect ratio 1:200. */
export const IMAGE_LIMITS: ImageLimits = {
  fileBytes: 64 * 2 ** 20,
  pixels: 50_000_000,
  aspect: 200,
};

/** Throws an `ImageError`: "too_large" where a size exceeds `limits`, "damaged" where it is not a valid size. */
export function checkSize(
  width: number,
  height: number,
  limits: ImageLimits,
): void {
  if (width < 1 || height < 1) {
    throw new ImageError(
      "damaged",
      `its header says ${width} × ${height} pixels`,
    );
  }
  if (width * height > limits.pixels) {
    throw new ImageError(
      "too_large",
      `it has ${width} × ${height} pixels, at most ${limits.pixels} are allowed; make it smaller first`,
    );
  }
  if (Math.max(width, height) > limits.aspect * Math.min(width, height)) {
    throw new ImageError(
      "too_large",
      `it has ${width} × ${height} pixels, one side may be at most ${limits.aspect} times the other; crop it first`,
    );
  }
}
