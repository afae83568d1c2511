/**
 * Rounding to the nearest integer, ties to even, as in `f32x4.nearest`; the
 * only rounding in the project.
 * @module
 */

const ROUNDER = 1.5 * 2 ** 52; // adding it leaves no bits below 1, and float64 rounds half to even

/** Round half to even, for |x| < 2^51. */
export function roundEven(x: number): number {
  return (x + ROUNDER) - ROUNDER;
}

/** Quantizes x to int8 with a symmetric static scale: round(x / scale), clamped. */
export function quantizeInt8(x: number, scale: number): number {
  return Math.min(127, Math.max(-128, roundEven(x / scale)));
}
