/**
 * "Did you mean": the known word nearest to an unknown one.
 * @module
 */

/**
 * Edit distance with insertions, deletions, substitutions and swaps of
 * neighbours (Damerau–Levenshtein, optimal string alignment).
 */
export function distance(a: string, b: string): number {
  const d = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  for (let j = 0; j <= b.length; j++) d[0][j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      d[i][j] = Math.min(
        d[i - 1][j] + 1,
        d[i][j - 1] + 1,
        d[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        d[i][j] = Math.min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.length][b.length];
}

/** The known word nearest to `word`; undefined if none is near enough. */
export function nearest(
  word: string,
  known: readonly string[],
): string | undefined {
  if (word.length > 64) return undefined;
  let best: string | undefined, least = Math.max(1, word.length / 3);
  for (const candidate of known) {
    const d = candidate.startsWith(word) && word.length > 1
      ? 0.5
      : distance(word, candidate);
    if (d <= least && (best === undefined || d < least)) {
      best = candidate;
      least = d;
    }
  }
  return best;
}
