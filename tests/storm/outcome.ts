/**
 * The result of each part of the storm.
 * @module
 */

/** What came of some tries. */
export interface Outcome {
  /** How many there were. */
  readonly tried: number;
  /** How they ended, by name. */
  readonly ends: Record<string, number>;
  /** What should not have happened. */
  readonly findings: string[];
}

/** An outcome to be filled. */
export function outcome(): Outcome & {
  tried: number;
  end(name: string | number): void;
  find(what: string): void;
} {
  const ends: Record<string, number> = {}, findings: string[] = [];
  return {
    tried: 0,
    ends,
    findings,
    end: (name) => void (ends[name] = (ends[name] ?? 0) + 1),
    find: (what) => void (findings.length < 20 && findings.push(what)),
  };
}
