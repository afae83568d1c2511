/**
 * The one picture size of a processor that would keep every picture's own: the
 * towers of Qwen2-VL take any grid of patches, a static plan takes one.
 * @module
 */

/** Largest side a square gets unless the processor's own limit is lower: 256 image tokens of Qwen2-VL. */
const MOST_SIDE = 448;

/**
 * Side of the square that stands for every picture: as large as the processor's
 * `max_pixels` (or `size.longest_edge`, which is a number of pixels too) allows,
 * in whole merged patches, at most 448.
 * @param processor preprocessor_config.json of a Qwen2-VL processor
 */
export function squareSide(processor: Record<string, unknown>): number {
  const number = (v: unknown, fallback: number) =>
    typeof v === "number" && Number.isFinite(v) && v > 0 ? v : fallback;
  const unit = number(processor.patch_size, 14) *
    number(processor.merge_size, 2);
  const size = processor.size as Record<string, unknown> | undefined;
  const pixels = number(
    processor.max_pixels,
    number(size?.max_pixels, number(size?.longest_edge, MOST_SIDE ** 2)),
  );
  const side = Math.min(MOST_SIDE, Math.floor(Math.sqrt(pixels)));
  return Math.max(unit, Math.floor(side / unit) * unit);
}
