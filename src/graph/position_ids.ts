/**
 * Where tokens stand in time and on the page (M-RoPE, Qwen2-VL): a text token
 * at [n, n, n]; the tokens of an image at the time of its beginning n, each at
 * its row and column behind n; what follows an image of h × w tokens goes on at
 * n + max(h, w). Source: transformers, models/qwen2_vl/modeling_qwen2_vl.py,
 * get_rope_index. Or all tokens of an image at n, and what follows at n + 1
 * (GLM-4V, modeling_chatglm.py, ChatGLMModel.forward); CogVLM2 lets the first
 * token of an image stand alone (modeling_cogvlm.py, build_position_ids).
 * @module
 */
import { type Grid, mergeOf, ownGrid, tokensIn } from "./grid.ts";
import type { ModelInfo } from "./info.ts";

/** Time, row, column. */
export type PositionId = readonly [number, number, number];

/** Counts the places of a sequence. Plain data: a copy is a branch. */
export interface PositionCounter {
  /** Place of the next text token. */
  next: number;
  /** Images before the one under way. */
  images: number;
  /** Tokens seen of the image under way. */
  inImage: number;
}

/** At the start of a sequence. */
export function newPositionCounter(): PositionCounter {
  return { next: 0, images: 0, inImage: 0 };
}

/**
 * Places of the next tokens; the counter moves on.
 * @param grids of all images of the sequence; one that is missing has the tower's own size
 */
export function positionIds(
  at: PositionCounter,
  ids: ArrayLike<number>,
  info: ModelInfo,
  grids: readonly Grid[] = [],
): PositionId[] {
  const { image } = info;
  return Array.from(ids, (id): PositionId => {
    const n = at.next;
    if (id !== image?.tokenId) {
      at.next++;
      return [n, n, n];
    }
    const grid = grids[at.images] ?? ownGrid(image), merged = mergeOf(image);
    const width = grid.cols / merged, { leadingTokens = 0 } = image;
    const i = at.inImage++;
    if (at.inImage === tokensIn(image, grid)) {
      at.images++;
      at.inImage = 0;
      at.next += image.sharedPosition
        ? leadingTokens + 1
        : Math.max(grid.rows / merged, width);
    }
    if (image.sharedPosition) {
      const place = n + Math.min(i, leadingTokens);
      return [place, place, place];
    }
    return [n, n + Math.floor(i / width), n + i % width];
  });
}
