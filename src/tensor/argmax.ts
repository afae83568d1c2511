/**
 * Argmax.
 * @module
 */

/** Index of the largest element; the first of equal ones. */
export function argmax(x: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < x.length; i++) if (x[i] > x[best]) best = i;
  return best;
}
