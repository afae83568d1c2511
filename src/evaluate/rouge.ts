/**
 * ROUGE-L (Lin 2004, §3): the longest common subsequence of a caption and a
 * reference, as an F measure that favours recall.
 * @module
 */
import { checkReferences, wordsOf } from "./words.ts";

const BETA = 1.2; // as in coco-caption

/**
 * Mean ROUGE-L, 0 to 1, with the best precision and the best recall over the
 * references.
 */
export function rougeL(
  captions: readonly string[],
  references: readonly (readonly string[])[],
): number {
  checkReferences(captions, references);
  const scores = captions.map((caption, i) => {
    const words = wordsOf(caption);
    let precision = 0, recall = 0;
    for (const other of references[i].map(wordsOf)) {
      const common = commonLength(words, other);
      if (common === 0) continue;
      precision = Math.max(precision, common / words.length);
      recall = Math.max(recall, common / other.length);
    }
    if (precision === 0) return 0;
    return (1 + BETA ** 2) * precision * recall /
      (recall + BETA ** 2 * precision);
  });
  return scores.reduce((a, b) => a + b, 0) / scores.length;
}

/** Length of the longest common subsequence. */
function commonLength(a: readonly string[], b: readonly string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const word of a) {
    const next = [0];
    b.forEach((other, j) => {
      next.push(word === other ? row[j] + 1 : Math.max(row[j + 1], next[j]));
    });
    row = next;
  }
  return row[b.length];
}
