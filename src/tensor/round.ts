/**
 * The one rounding of the project: to the nearest integer, ties to even, as
 * `f32x4.nearest` does.
 * @module
 */

const ROUNDER = 1.5 * 2 ** 52; // adding it leaves no bits below 1, and float64 rounds half to even

/** Round half to even, for |x| < 2^51. */
export function roundEven(x: number): number {
  return (x + ROUNDER) - ROUNDER;
}

/** x quantized to int8 by a symmetric static scale: round(x / scale), clamped. */
export function quantizeInt8(x: number, scale: number): number {
  return Math.min(127, Math.max(-128, roundEven(x / scale)));
}
