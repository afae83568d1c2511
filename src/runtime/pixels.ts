/**
 * From bytes of pixels to codes: normalisation and the static scale of the patch
 * embedding in one table per channel.
 * @module
 */

/** How a byte of a pixel becomes a value: (byte · rescale − mean) / std, per channel. */
export interface PixelScale {
  readonly rescale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Codes of all pixel bytes at a scale, half to even: int8 [3][256]. */
export function pixelCodes(
  { rescale, mean, std }: PixelScale,
  scale: number,
): Int8Array {
  const codes = new Int8Array(768);
  for (let c = 0; c < 3; c++) {
    for (let b = 0; b < 256; b++) {
      const x = (b * rescale - mean[c]) / std[c] / scale;
      const up = Math.round(x);
      const even = up - x === 0.5 && up % 2 !== 0 ? up - 1 : up;
      codes[c * 256 + b] = Math.max(-128, Math.min(127, even));
    }
  }
  return codes;
}
