/**
 * What a picture is in a prompt.
 * @module
 */
import type { ChatFormat } from "../tokenizer/chat.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type Grid, ownGrid, tokensIn } from "./grid.ts";
import { imageInfoOf, type ModelInfo } from "./info.ts";

/** How a picture came to the tower. */
export interface Cut {
  /** Rows of tiles; 0 where it was not cut. */
  readonly rows: number;
  /** Columns of tiles; 0 where it was not cut. */
  readonly cols: number;
  /** Patches of each tile. */
  readonly grids: readonly Grid[];
}

/** A picture that is not cut, of the tower's own size where nothing else is said. */
export function whole(info: ModelInfo, grid?: Grid): Cut {
  return { rows: 0, cols: 0, grids: [grid ?? ownGrid(imageInfoOf(info))] };
}

/**
 * Text of a picture.
 * @param index its number in the prompt, from 0
 * @throws {RangeError} where it was cut and the family writes no tiles, or takes no pictures
 */
export function imageText(
  info: ModelInfo,
  { rows, cols, grids }: Cut,
  index: number,
): string {
  const image = imageInfoOf(info), { text: whole, tiles, tokenText } = image;
  const counted = (text: string, grid: Grid) =>
    tokenText === undefined
      ? text
      : text.replace("{tokens}", () => tokenText.repeat(tokensIn(image, grid)));
  const numbered = (text: string, grid = grids[0]) =>
    counted(text, grid).replaceAll("{image}", `${index}`)
      .replaceAll("{picture}", `${index + 1}`);
  if (image.nativeResolution && !image.fixedTokens && tokenText === undefined) {
    return whole.repeat(tokensIn(image, grids[0]));
  }
  if (rows * cols === 0) return numbered(whole);
  if (!tiles) {
    throw new RangeError(
      `Cannot split a picture into tiles: ${info.architecture} has no tiles; leave out maxTiles`,
    );
  }
  let text = numbered(tiles.begin);
  for (let row = 1; row <= rows; row++) {
    for (let col = 1; col <= cols; col++) {
      text += counted(tiles.tile, grids[(row - 1) * cols + col - 1])
        .replace("{row}", `${row}`).replace("{col}", `${col}`);
    }
    text += tiles.rowEnd;
    if (row < rows) text += tiles.rowGap ?? "";
  }
  return text + numbered(tiles.end, grids.at(-1));
}

/** What a chat format says of pictures, each whole and of the grid, or the tower's own size; nothing where the model takes none. */
export function imageFormat(
  tokenizer: Tokenizer,
  info: ModelInfo,
  grid?: Grid,
): Pick<ChatFormat, "image"> {
  if (!info.image) return {};
  const { tokenId, templateToken } = info.image;
  const token = templateToken ??
    tokenizer.decode([tokenId], { skipSpecial: false });
  return {
    image: { token, tokens: (i) => imageText(info, whole(info, grid), i) },
  };
}
