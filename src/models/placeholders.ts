/**
 * Where a picture's rows stand in a prompt.
 * @module
 */

/** Rows of one picture: seven times those of the largest known (CogVLM2, 2,304). */
const MOST_ROWS = 16_384;

/**
 * A placeholder for each row of a picture.
 * @throws {RangeError} where the checkpoint's sizes give more rows than any
 * context holds: such a text would not fit into memory
 */
export function placeholders(token: string, rows: number): string {
  if (rows <= MOST_ROWS) return token.repeat(rows);
  throw new RangeError(
    `Cannot read config.json: its sizes give ${rows} rows for one picture, ` +
      `at most ${MOST_ROWS} are allowed; see image_size and patch_size`,
  );
}
