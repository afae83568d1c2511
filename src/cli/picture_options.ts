/**
 * Options that say how much of a picture a model is shown.
 * @module
 */
import type { PictureOptions } from "../mod.ts";
import type { Values } from "./command.ts";

/** The options, the same for every command that shows pictures. */
export const PICTURE_OPTIONS = {
  "max-tiles": {
    type: "integer",
    help:
      "cut a photo into at most so many tiles, for models that can; default: 1",
    min: 1,
    max: 64,
  },
  "max-pixels": {
    type: "integer",
    help:
      "show a photo with at most so many pixels, for models that keep its shape; default: what the model file says, at most 200704 (448 × 448)",
    min: 1,
    max: 2 ** 24,
  },
  "min-pixels": {
    type: "integer",
    help:
      "grow a smaller photo to so many pixels, for those models; default: what the model file says",
    min: 1,
    max: 2 ** 24,
  },
} as const;

/** As `open` and a request take them. */
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
