/**
 * A seeded bug.
 * @module
 */

/** A seeded bug. */
export interface Mutant {
  /** The bug, in words. */
  readonly what: string;
  /** Path of the file. */
  readonly file: string;
  /** Text that occurs once in the file. */
  readonly from: string;
  /** Its replacement. */
  readonly to: string;
  /** Paths of the tests that must detect it. */
  readonly tests: readonly string[];
}

type Row = readonly [what: string, from: string, to: string];

/** Bugs of one file that the same tests detect. */
export function of(
  file: string,
  tests: readonly string[],
  ...rows: readonly Row[]
): Mutant[] {
  return rows.map(([what, from, to]) => ({ what, file, from, to, tests }));
}
