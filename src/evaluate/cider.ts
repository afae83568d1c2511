/**
 * CIDEr-D (Vedantam et al. 2015, eq. 2–5 and §5, "CIDEr-D"): cosine similarity
 * of tf-idf weighted 1- to 4-grams with clipping and a length penalty, times
 * ten. No stemming.
 * @module
 */
import { checkReferences, ngrams, wordsOf } from "./words.ts";

const SIGMA = 6; // words: width of the length penalty

/** CIDEr-D of a set and of each caption. */
export interface Cider {
  /** Mean over the captions; 0 to 10. */
  readonly mean: number;
  /** One value per caption. */
  readonly each: readonly number[];
}

interface Vector {
  /** tf-idf weight of each n-gram, for n = 1 to 4. */
  readonly weights: readonly Map<string, number>[];
  readonly norms: readonly number[];
  readonly length: number;
}

/**
 * CIDEr-D of `captions`. Document frequencies come from the given references,
 * one document per picture, so scores of different picture sets are not
 * comparable.
 */
export function ciderD(
  captions: readonly string[],
  references: readonly (readonly string[])[],
): Cider {
  checkReferences(captions, references);
  const frequency = documentFrequency(references);
  const logCount = Math.log(references.length);
  const vector = (caption: string): Vector => {
    const words = wordsOf(caption);
    const weights = [1, 2, 3, 4].map((n) => {
      const grams = ngrams(words, n);
      for (const [gram, count] of grams) {
        const seen = Math.max(1, frequency.get(gram) ?? 0);
        grams.set(gram, count * (logCount - Math.log(seen)));
      }
      return grams;
    });
    const norms = weights.map((w) =>
      Math.sqrt(w.values().reduce((sum, x) => sum + x * x, 0))
    );
    return { weights, norms, length: words.length };
  };
  const each = captions.map((caption, i) => {
    const mine = vector(caption);
    const sum = references[i]
      .reduce((s, other) => s + similarity(mine, vector(other)), 0);
    return 10 * sum / references[i].length;
  });
  return { mean: each.reduce((a, b) => a + b, 0) / each.length, each };
}

/** Number of pictures in whose references each n-gram occurs. */
function documentFrequency(
  references: readonly (readonly string[])[],
): Map<string, number> {
  const frequency = new Map<string, number>();
  for (const list of references) {
    const grams = new Set(
      list.map(wordsOf)
        .flatMap((words) =>
          [1, 2, 3, 4].flatMap((n) => [...ngrams(words, n).keys()])
        ),
    );
    for (const gram of grams) {
      frequency.set(gram, (frequency.get(gram) ?? 0) + 1);
    }
  }
  return frequency;
}

/** Mean over n of the clipped cosine, times the length penalty. */
function similarity(a: Vector, b: Vector): number {
  const penalty = Math.exp(-((a.length - b.length) ** 2) / (2 * SIGMA ** 2));
  let sum = 0;
  for (let n = 0; n < 4; n++) {
    const norm = a.norms[n] * b.norms[n];
    if (norm === 0) continue;
    let dot = 0;
    for (const [gram, weight] of a.weights[n]) {
      const other = b.weights[n].get(gram) ?? 0;
      dot += Math.min(weight, other) * other;
    }
    sum += dot / norm;
  }
  return penalty * sum / 4;
}
