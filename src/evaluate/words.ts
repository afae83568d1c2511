/**
 * Splits captions into words and n-grams, for all metrics.
 * @module
 */

/**
 * Words of a caption: lower case, hyphens split, punctuation removed, the
 * possessive 's a separate word. Simpler than coco-caption's PTB tokenizer; all
 * scores of this project use it.
 */
export function wordsOf(caption: string): string[] {
  return caption.toLowerCase()
    .replaceAll("-", " ")
    .replace(/[^a-z0-9' ]+/g, " ")
    .replaceAll("'s", " 's")
    .split(" ")
    .filter(Boolean);
}

/** Counts of each n-gram; its words are joined by a space. */
export function ngrams(
  words: readonly string[],
  n: number,
): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + n <= words.length; i++) {
    const gram = words.slice(i, i + n).join(" ");
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}

/**
 * Checks that each caption has a list of at least one reference.
 * @throws {RangeError}
 */
export function checkReferences(
  captions: readonly string[],
  references: readonly (readonly string[])[],
): void {
  if (captions.length !== references.length || captions.length === 0) {
    throw new RangeError(
      `Cannot compare ${captions.length} captions with references of ${references.length} pictures: the counts must be equal and at least 1`,
    );
  }
  const empty = references.findIndex((list) => list.length === 0);
  if (empty >= 0) {
    throw new RangeError(
      `Cannot compare caption ${empty}: it has no reference`,
    );
  }
}
