/**
 * What a chat template may take.
 * @module
 */

/** Limits of a template's run; real ones take some 40 steps a message. */
export const TEMPLATE_LIMITS = {
  /** Characters of the template. */
  length: 65_536,
  /** White space in a row in the template. */
  blanks: 1000,
  /** Statements and expressions, and more for what is large: see template_run.ts. */
  steps: 100_000,
  /** Characters of any text that it makes. */
  text: 1_000_000,
  /** Milliseconds, for machines on which a step takes far more than a microsecond. */
  ms: 2000,
} as const;

/** The error of a limit that was met. */
export function tooMuch(
  limit: keyof typeof TEMPLATE_LIMITS,
  what: string,
): Error {
  return new Error(`${what} is beyond the limit of ${TEMPLATE_LIMITS[limit]}`);
}
