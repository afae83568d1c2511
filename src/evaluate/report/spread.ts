/**
 * Distributions of weights: a histogram of |v| in units of each tensor's
 * standard deviation, over many tensors. A rotation removes the tail.
 * @module
 */

/** Width of a bin, in standard deviations. */
export const BIN = 0.25;
const BINS = 256; // up to 64; what is beyond counts in the last

/** A histogram over many tensors. */
export interface Spread {
  readonly counts: Float64Array;
  total: number;
  /** Largest |v| / σ of any tensor. */
  most: number;
}

/** An empty histogram. */
export function spread(): Spread {
  return { counts: new Float64Array(BINS), total: 0, most: 0 };
}

/** Adds the values of one tensor, divided by its root mean square. */
export function addSpread(s: Spread, values: ArrayLike<number>): void {
  let square = 0;
  for (let i = 0; i < values.length; i++) square += values[i] ** 2;
  const unit = Math.sqrt(square / values.length);
  if (!(unit > 0)) return;
  for (let i = 0; i < values.length; i++) {
    const v = Math.abs(values[i]) / unit;
    s.counts[Math.min(BINS - 1, Math.floor(v / BIN))]++;
    if (v > s.most) s.most = v;
  }
  s.total += values.length;
}

/** Fraction of values at or beyond the start of each bin: [start, fraction]. */
export function beyond(s: Spread): [number, number][] {
  const out: [number, number][] = [];
  let left = s.total;
  for (let i = 0; i < BINS && left > 0; i++) {
    out.push([i * BIN, left / s.total]);
    left -= s.counts[i];
  }
  return out;
}

/**
 * Fraction beyond x for a normal distribution (both signs), up to `to` standard
 * deviations.
 */
export function normalBeyond(to: number): [number, number][] {
  const step = BIN / 16, out: [number, number][] = [];
  let inside = 0;
  for (let i = 0; i * step <= to; i++) {
    if (i % 16 === 0) out.push([i * step, 1 - inside]);
    const middle = (i + 0.5) * step;
    inside += step * 2 * Math.exp(-(middle ** 2) / 2) / Math.sqrt(2 * Math.PI);
  }
  return out;
}
