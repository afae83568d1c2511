/**
 * Position ids of tokens: time, row and column (M-RoPE, Qwen2-VL). A text token has
 * [n, n, n]. An image token has the time n of the image's start, and n plus its row
 * and column. The token after an image of h × w tokens has n + max(h, w). Source:
 * transformers, models/qwen2_vl/modeling_qwen2_vl.py, get_rope_index.
 *
 * With `sharedPosition` all tokens of an image have n, and the next token n + 1
 * (GLM-4V, modeling_chatglm.py, ChatGLMModel.forward). In CogVLM2 the first token of
 * an image has a position id of its own (modeling_cogvlm.py, build_position_ids).
 * @module
 */
import { defaultGrid, type Grid, mergeOf, tokensIn } from "./grid.ts";
import type { ModelInfo } from "./info.ts";

/** Time, row, column. */
export type PositionId = readonly [number, number, number];

/** State of the position ids of a sequence. Plain data: copy it to branch. */
export interface PositionCounter {
  /** Position of the next text token. */
  next: number;
  /** Number of complete images. */
  images: number;
  /** Tokens of the current image so far. */
  inImage: number;
}

/** The state at the start of a sequence. */
export function newPositionCounter(): PositionCounter {
  return { next: 0, images: 0, inImage: 0 };
}

/**
 * Position ids of the next tokens; advances the counter.
 * @param grids of all images of the sequence; default: the model's image size
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
    const grid = grids[at.images] ?? defaultGrid(image),
      merged = mergeOf(image);
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
      const position = n + Math.min(i, leadingTokens);
      return [position, position, position];
    }
    return [n, n + Math.floor(i / width), n + i % width];
  });
}
