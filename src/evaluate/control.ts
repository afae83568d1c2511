/**
 * The baseline of every captioning score: the score of the same captions
 * assigned to other pictures. A model that ignores the picture scores equally
 * high.
 * @module
 */
import { random, uniform } from "../tensor/random.ts";

/**
 * A permutation of `items` in which no item keeps its place (one cycle, Sattolo
 * 1986); deterministic for a seed.
 * @throws {RangeError} for fewer than two items
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
