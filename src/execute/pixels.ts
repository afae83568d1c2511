/**
 * Normalisation and quantization of pixels as one lookup table per channel.
 * @module
 */
import { quantizeInt8 } from "../tensor/round.ts";

/** Normalisation of pixel bytes: (byte · rescale − mean) / std, per channel. */
export interface PixelScale {
  readonly rescale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Quantized values of all pixel bytes at a scale, rounded half to even: int8 [3][256]. */
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
