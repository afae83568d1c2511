/**
 * BLEU of a set of captions (Papineni et al. 2002): n-gram precision over the
 * whole set, clipped by the references, times a brevity penalty.
 * @module
 */
import { checkReferences, ngrams, wordsOf } from "./words.ts";

/**
 * BLEU-1 to BLEU-4, each from 0 to 1. The reference length of a caption is that
 * of the reference nearest in length, the shorter on a tie. If a set has no
 * matching n-gram, 1e-9 is used as the count, so that the geometric mean
 * exists.
 */
export function bleu(
  captions: readonly string[],
  references: readonly (readonly string[])[],
): [number, number, number, number] {
  checkReferences(captions, references);
  const matched = [0, 0, 0, 0], total = [0, 0, 0, 0];
  let length = 0, wanted = 0;
  captions.forEach((caption, i) => {
    const words = wordsOf(caption);
    const others = references[i].map(wordsOf);
    length += words.length;
    wanted += nearest(words.length, others.map((other) => other.length));
    for (let n = 1; n <= 4; n++) {
      const most = others.map((other) => ngrams(other, n));
      for (const [gram, count] of ngrams(words, n)) {
        const allowed = Math.max(
          ...most.map((counts) => counts.get(gram) ?? 0),
        );
        matched[n - 1] += Math.min(count, allowed);
      }
      total[n - 1] += Math.max(0, words.length - n + 1);
    }
  });
  const brevity = length > wanted
    ? 1
    : Math.exp(1 - wanted / Math.max(1, length));
  let logs = 0;
  return matched.map((m, i) => {
    logs += Math.log(Math.max(m, 1e-9) / Math.max(1, total[i]));
    return brevity * Math.exp(logs / (i + 1));
  }) as [number, number, number, number];
}

function nearest(length: number, lengths: readonly number[]): number {
  return lengths.reduce((best, other) => {
    const d = Math.abs(other - length) - Math.abs(best - length);
    return d < 0 || d === 0 && other < best ? other : best;
  });
}
