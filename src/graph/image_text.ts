/**
 * What a picture is in a prompt.
 * @module
 */
import type { ChatFormat } from "../tokenizer/chat.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { imageOf, type ModelInfo } from "./node.ts";

/**
 * Text of a picture in so many rows and columns of tiles; 0 where it is one.
 * @param index the picture's number in the prompt, from 0
 * @throws {RangeError} where the family writes no tiles, or takes no pictures
 */
export function imageText(
  info: ModelInfo,
  rows: number,
  cols: number,
  index: number,
): string {
  const { text: whole, tiles } = imageOf(info);
  const numbered = (text: string) =>
    text.replaceAll("{image}", `${index}`)
      .replaceAll("{picture}", `${index + 1}`);
  if (rows * cols === 0) return numbered(whole);
  if (!tiles) {
    throw new RangeError(
      `Cannot cut a picture into tiles: ${info.architecture} takes it whole`,
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

/** What a chat format says of pictures, each whole; nothing where the model takes none. */
export function imageFormat(
  tokenizer: Tokenizer,
  info: ModelInfo,
): Pick<ChatFormat, "image"> {
  if (!info.image) return {};
  const { tokenId } = info.image;
  const token = tokenizer.decode([tokenId], { skipSpecial: false });
  return { image: { token, tokens: (i) => imageText(info, 0, 0, i) } };
}
