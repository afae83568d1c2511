/**
 * Image placeholders in a prompt.
 * @module
 */

/**
 * Maximum rows of a picture: seven times those of the largest known family
 * (CogVLM2, 2,304).
 */
const MOST_ROWS = 16_384;

/**
 * One placeholder per row of a picture.
 * @throws {RangeError} if the checkpoint's sizes give more rows than any
 * context holds; such a text would not fit into memory
 */
export function placeholders(token: string, rows: number): string {
  if (rows <= MOST_ROWS) return token.repeat(rows);
  throw new RangeError(
    `Cannot read config.json: its sizes give ${rows} rows for one picture, ` +
      `at most ${MOST_ROWS} are allowed; see image_size and patch_size`,
  );
}
