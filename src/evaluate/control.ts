/**
 * The control of every captioning number: what the same captions score when
 * each is given to another picture. A model that does not look scores as high.
 * @module
 */
import { random, uniform } from "../tensor/random.ts";

/**
 * `items` in another order in which none keeps its place (one cycle, by
 * Sattolo 1986); the same for the same seed. Throws `RangeError` for fewer
 * than two.
 */
export function shuffledControl<T>(items: readonly T[], seed = 1): T[] {
  if (items.length < 2) {
    throw new RangeError(
      `Cannot shuffle ${items.length} items so that none keeps its place: at least two are needed`,
    );
  }
  const next = random(seed);
  const shuffled = items.slice();
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = Math.floor(uniform(next) * i);
    [shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]];
  }
  return shuffled;
}
