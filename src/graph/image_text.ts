/**
 * What a picture is in a prompt.
 * @module
 */
import type { ModelInfo } from "./node.ts";

/**
 * Text of a picture in so many rows and columns of tiles; 0 where it is one.
 * @param index the picture's number in the prompt, from 0
 * @throws {RangeError} where the family writes no tiles
 */
export function imageText(
  { imageText, tiles, architecture }: ModelInfo,
  rows: number,
  cols: number,
  index: number,
): string {
  const numbered = (text: string) =>
    text.replaceAll("{image}", `${index}`)
      .replaceAll("{picture}", `${index + 1}`);
  if (rows * cols === 0) return numbered(imageText);
  if (!tiles) {
    throw new RangeError(
      `Cannot cut a picture into tiles: ${architecture} takes it whole`,
    );
  }
  let text = numbered(tiles.begin);
  for (let row = 1; row <= rows; row++) {
    for (let col = 1; col <= cols; col++) {
      text += tiles.tile.replace("{row}", `${row}`).replace("{col}", `${col}`);
    }
    text += tiles.rowEnd;
    if (row < rows) text += tiles.rowGap ?? "";
  }
  return text + numbered(tiles.end);
}
