/**
 * Static scales from a histogram of magnitudes. There are 32 bins per octave (the
 * top bits of a float32), so one pass over the samples is enough to compare all
 * clipping ranges.
 * @module
 */

const SHIFT = 18; // keeps 8 exponent and 5 mantissa bits
const BINS = 1 << (31 - SHIFT);
const bits = new Uint32Array(1), number = new Float32Array(bits.buffer);

/** Smallest scale, for sites whose samples are all zero (as in PyTorch's observers, 2^-23). */
const FLOOR = 2 ** -23;

/** Counts of magnitudes. */
export interface Histogram {
  readonly counts: Float64Array;
  max: number;
}

/** An empty histogram. */
export function histogram(): Histogram {
  return { counts: new Float64Array(BINS), max: 0 };
}

/** Counts one value. */
export function count(h: Histogram, x: number): void {
  number[0] = Math.abs(x);
  h.counts[bits[0] >>> SHIFT]++;
  if (number[0] > h.max) h.max = number[0];
}

/** Middle of each bin. */
const MIDDLE = Float64Array.from({ length: BINS }, (_, i) => {
  bits[0] = (i << SHIFT) | (1 << (SHIFT - 1));
  return number[0];
});

/** Expected squared error of rounding to multiples of `scale`, clipped at ±`limit` of them. */
export function expectedError(
  h: Histogram,
  scale: number,
  limit = 127,
): number {
  let error = 0;
  for (let i = 0; i < BINS; i++) {
    const n = h.counts[i];
    if (n === 0) continue;
    const v = MIDDLE[i];
    if (v < scale / 2) error += n * v * v;
    else if (v <= (limit + 0.5) * scale) error += n * scale * scale / 12;
    else error += n * (v - limit * scale) ** 2;
  }
  return error;
}

/** How a scale is chosen: the whole range, the range with the least squared error, or a percentile (`share`, 0 to 1, of all values). */
export type ScaleRule = "minmax" | "mse" | { readonly share: number };

/** The percentile `share` (0 to 1) of the magnitudes, rounded up to the end of its bin. */
export function percentile(h: Histogram, share: number): number {
  const all = h.counts.reduce((a, b) => a + b, 0);
  let seen = 0;
  for (let i = 0; i < BINS; i++) {
    seen += h.counts[i];
    if (seen >= share * all) {
      bits[0] = (i + 1) << SHIFT;
      return number[0];
    }
  }
  return h.max;
}

/** The static int8 scale for the values counted in `h`, as float32. */
export function scaleOf(h: Histogram, rule: ScaleRule): number {
  const whole = Math.max(h.max / 127, FLOOR);
  if (rule === "minmax" || h.max === 0) return Math.fround(whole);
  if (typeof rule !== "string") {
    const limit = Math.min(h.max, percentile(h, rule.share));
    return Math.max(Math.fround(limit / 127), FLOOR);
  }
  let best = whole, least = expectedError(h, whole);
  for (let i = 1; i <= 64; i++) { // down to 1/16 of the range, 16 steps per octave
    const scale = whole * 2 ** (-i / 16), error = expectedError(h, scale);
    if (error < least) best = scale, least = error;
  }
  return Math.max(Math.fround(best), FLOOR);
}
