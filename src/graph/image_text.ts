/**
 * The text that stands for an image in a prompt.
 * @module
 */
import type { ChatFormat } from "../tokenizer/chat.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { defaultGrid, type Grid, tokensIn } from "./grid.ts";
import { imageInfoOf, type ModelInfo } from "./info.ts";

/** Tiles of an image. */
export interface ImageTiles {
  /** Rows of tiles; 0 where the image is not tiled. */
  readonly rows: number;
  /** Columns of tiles; 0 where the image is not tiled. */
  readonly cols: number;
  /** Patches of each tile. */
  readonly grids: readonly Grid[];
}

/** An image without tiles; `grid` defaults to that of the model's image size. */
export function untiled(info: ModelInfo, grid?: Grid): ImageTiles {
  return { rows: 0, cols: 0, grids: [grid ?? defaultGrid(imageInfoOf(info))] };
}

/**
 * The prompt text of an image.
 * @param index number of the image in the prompt, from 0
 * @throws {RangeError} where the model takes no images, or the image is tiled and the model takes no tiles
 */
export function imageText(
  info: ModelInfo,
  { rows, cols, grids }: ImageTiles,
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
      `Cannot split an image into tiles: ${info.architecture} has no tiles; leave out maxTiles`,
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

/** Image placeholder of a chat format for images without tiles; empty for a text-only model. */
export function imageFormat(
  tokenizer: Tokenizer,
  info: ModelInfo,
  grid?: Grid,
): Pick<ChatFormat, "image"> {
  if (!info.image) return {};
  const { tokenId, templateToken } = info.image;
  const row = {
    text: tokenizer.decode([tokenId], { skipSpecial: false }),
    id: tokenId,
  };
  return {
    image: {
      token: templateToken ?? row.text,
      tokens: (i) => imageText(info, untiled(info, grid), i),
      row,
    },
  };
}
