/**
 * Maps pixel bytes to int8: normalisation and the static scale of the patch
 * embedding in one table per channel.
 * @module
 */
import { quantizeInt8 } from "../tensor/round.ts";

/** Pixel normalisation: (byte · rescale − mean) / std, per channel. */
export interface PixelScale {
  readonly rescale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * The int8 values of all pixel bytes at a scale, rounded half to even:
 * [3][256].
 */
export function pixelTable(
  { rescale, mean, std }: PixelScale,
  scale: number,
): Int8Array {
  const values = new Int8Array(768);
  for (let c = 0; c < 3; c++) {
    for (let b = 0; b < 256; b++) {
      values[c * 256 + b] = quantizeInt8(
        (b * rescale - mean[c]) / std[c],
        scale,
      );
    }
  }
  return values;
}
