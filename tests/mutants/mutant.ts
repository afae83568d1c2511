/**
 * What a seeded bug is.
 * @module
 */

/** A seeded bug. */
export interface Mutant {
  /** What is wrong then. */
  readonly what: string;
  /** File. */
  readonly file: string;
  /** Text that stands there once. */
  readonly from: string;
  /** What stands there instead. */
  readonly to: string;
  /** Tests that must notice. */
  readonly tests: readonly string[];
}

type Row = readonly [what: string, from: string, to: string];

/** Bugs of one file, noticed by the same tests. */
export function of(
  file: string,
  tests: readonly string[],
  ...rows: readonly Row[]
): Mutant[] {
  return rows.map(([what, from, to]) => ({ what, file, from, to, tests }));
}
