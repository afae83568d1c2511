/**
 * Options for the resolution of pictures.
 * @module
 */
import type { PictureOptions } from "../mod.ts";
import type { Values } from "./command.ts";

/** The options, shared by all commands that take pictures. */
export const PICTURE_OPTIONS = {
  "max-tiles": {
    type: "integer",
    help:
      "maximum number of tiles per photo, for families with tiles; default: 1",
    min: 1,
    max: 64,
  },
  "max-pixels": {
    type: "integer",
    help:
      "resize larger photos to at most this many pixels, for native-resolution families; default: the model file's value, at most 200704 (448 × 448)",
    min: 1,
    max: 2 ** 24,
  },
  "min-pixels": {
    type: "integer",
    help:
      "enlarge smaller photos to at least this many pixels, for native-resolution families; default: the model file's value",
    min: 1,
    max: 2 ** 24,
  },
} as const;

/** The options in the form of `open` and of requests. */
export function pictureOptions(
  values: Values<typeof PICTURE_OPTIONS>,
): PictureOptions {
  const {
    "max-tiles": maxTiles,
    "max-pixels": maxPixels,
    "min-pixels": minPixels,
  } = values;
  return {
    ...(maxTiles === undefined ? {} : { maxTiles }),
    ...(maxPixels === undefined ? {} : { maxPixels }),
    ...(minPixels === undefined ? {} : { minPixels }),
  };
}
