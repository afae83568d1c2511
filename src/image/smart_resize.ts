/**
 * Native resolution (Qwen2-VL): both sides are multiples of a unit, the number of pixels
 * is within bounds, the aspect ratio is nearly kept. Source: transformers,
 * models/qwen2_vl/image_processing_pil_qwen2_vl.py, smart_resize.
 * @module
 */
import { roundEven } from "../tensor/round.ts";

/** Bounds of a picture with native resolution. */
export interface PixelBounds {
  /** Side in pixels of the square of one token. */
  readonly unit: number;
  /** Fewest pixels. */
  readonly least: number;
  /** Most pixels. */
  readonly most: number;
  /** A side is at least one unit before pixels are counted (LFM2-VL). */
  readonly whole?: true;
}

/** Side of the default pixel limit: 256 image tokens of Qwen2-VL. A 12-megapixel photo at full size would take 16,000. */
const MOST_SIDE = 448;

/** Bounds of a Qwen2-VL processor, from its preprocessor_config.json. */
export function pixelBounds(processor: Record<string, unknown>): PixelBounds {
  const number = (v: unknown, fallback: number) =>
    typeof v === "number" && Number.isFinite(v) && v >= 1 ? v : fallback;
  const size = (processor.size ?? {}) as Record<string, unknown>;
  const bound = (key: string, edge: string, fallback: number) =>
    number(processor[key], number(size[key], number(size[edge], fallback)));
  return {
    unit: number(processor.patch_size, 14) * number(processor.merge_size, 2),
    least: bound("min_pixels", "shortest_edge", 56 * 56),
    most: bound("max_pixels", "longest_edge", 28 * 28 * 1280),
  };
}

/** Side of the square with the default pixel limit: at most 448, in whole units. */
export function squareSide({ unit, most }: PixelBounds): number {
  const side = Math.min(MOST_SIDE, Math.floor(Math.sqrt(most)));
  return Math.max(unit, Math.floor(side / unit) * unit);
}

/**
 * Size of a picture within bounds. The original can exceed `most` for small or very
 * narrow pictures; here it cannot, because memory is planned for `most`.
 */
export function smartResize(
  { width, height }: { readonly width: number; readonly height: number },
  { unit, least, most, whole: some }: PixelBounds,
): { width: number; height: number } {
  const at = (scale: number, round: (x: number) => number) => ({
    width: round(width * scale / unit) * unit,
    height: round(height * scale / unit) * unit,
  });
  const area = (s: { width: number; height: number }) => s.width * s.height;
  const within = () => {
    // ÷ β, not × 1/β: the roundings are the original's.
    const beta = Math.sqrt(width * height / most);
    const side = (x: number) =>
      Math.max(unit, Math.floor(x / beta / unit) * unit);
    const longest = Math.floor(most / unit ** 2) * unit;
    return {
      width: Math.min(side(width), longest),
      height: Math.min(side(height), longest),
    };
  };
  const whole = at(1, (x) => Math.max(some ? 1 : 0, roundEven(x)));
  if (area(whole) > most) return within();
  if (area(whole) >= least) return whole;
  const grown = at(Math.sqrt(least / (width * height)), Math.ceil);
  return area(grown) > most ? within() : grown;
}
