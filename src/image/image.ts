/**
 * What this room is about: pixels, what may be wrong with a picture, and how
 * large one may be.
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

/** What a file says of its picture before a pixel is decoded. */
export interface Header {
  /** Pixels across, as stored. */
  readonly width: number;
  /** Pixels down, as stored. */
  readonly height: number;
  /** Exif orientation, 1 to 8. */
  readonly orientation: number;
}

/**
 * One code per way for a picture to be wrong.
 *
 * ```ts
 * import { type ImageErrorCode } from "@mquant/mquant";
 *
 * const smaller: ImageErrorCode = "too_large";
 * console.log(smaller); // worth another try with a smaller picture
 * ```
 */
export type ImageErrorCode =
  /** Not a picture, or none of a known kind. */
  | "unknown_kind"
  /** A known kind in a variant that is not read. */
  | "unsupported"
  /** Beyond a limit. */
  | "too_large"
  /** It ends early. */
  | "truncated"
  /** It contradicts its format. */
  | "damaged"
  /** Settings that cannot be followed. */
  | "settings";

/**
 * A picture that cannot be read; `code` says why.
 *
 * ```ts
 * import { ImageError, open } from "@mquant/mquant";
 *
 * await using model = await open(
 *   "models/flickr-mini/flickr-mini.w4a8.safetensors",
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
  /** Which kind of fault. */
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

/** Largest picture that is decoded; checked in its header, before any pixel. */
export interface ImageLimits {
  /** Bytes of the file. */
  readonly fileBytes: number;
  /** Width × height. */
  readonly pixels: number;
  /** Longer side over shorter side. */
  readonly aspect: number;
}

/** 64 MB, 50 megapixels, 1:200. */
export const IMAGE_LIMITS: ImageLimits = {
  fileBytes: 64 * 2 ** 20,
  pixels: 50_000_000,
  aspect: 200,
};

/** Throws an `ImageError` "too_large" where a size is beyond `limits`, "damaged" where it is none. */
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
