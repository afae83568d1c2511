/**
 * Limits of chat templates.
 * @module
 */

/** Limits of rendering; real templates take about 40 steps per message. */
export const TEMPLATE_LIMITS = {
  /** Characters of the template. */
  length: 65_536,
  /** Consecutive white space in the template. */
  blanks: 1000,
  /** Statements and expressions; large operands cost more (template_run.ts). */
  steps: 100_000,
  /** Characters of any string that it creates. */
  text: 1_000_000,
  /** Milliseconds, for machines on which a step takes far more than a microsecond. */
  ms: 2000,
} as const;

/** The error for an exceeded limit. */
export function tooMuch(
  limit: keyof typeof TEMPLATE_LIMITS,
  what: string,
): Error {
  return new Error(`${what} is beyond the limit of ${TEMPLATE_LIMITS[limit]}`);
}
