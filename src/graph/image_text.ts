/**
 * What a picture is in a prompt.
 * @module
 */
import type { ModelInfo } from "./node.ts";

/**
 * Text of a picture in so many rows and columns of tiles; 0 where it is one.
 * @throws {RangeError} where the family writes no tiles
 */
export function imageText(
  { imageText, tiles, architecture }: ModelInfo,
  rows: number,
  cols: number,
): string {
  if (rows * cols === 0) return imageText;
  if (!tiles) {
    throw new RangeError(
      `Cannot cut a picture into tiles: ${architecture} takes it whole`,
    );
  }
  let text = tiles.begin;
  for (let row = 1; row <= rows; row++) {
    for (let col = 1; col <= cols; col++) {
      text += tiles.tile.replace("{row}", `${row}`).replace("{col}", `${col}`);
    }
    text += tiles.rowEnd;
  }
  return text + tiles.end;
}
