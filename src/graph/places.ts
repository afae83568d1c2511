/**
 * Where tokens stand in time and on the page (M-RoPE, Qwen2-VL): a text token
 * at [n, n, n]; the tokens of an image at the time of its beginning n, each at
 * its row and column behind n; what follows an image of h × w tokens goes on at
 * n + max(h, w). Source: transformers, models/qwen2_vl/modeling_qwen2_vl.py,
 * get_rope_index. Or all tokens of an image at n, and what follows at n + 1
 * (GLM-4V, modeling_chatglm.py, ChatGLMModel.forward).
 * @module
 */
import { imageOf, type ModelInfo, patchesPerImage } from "./node.ts";

/** Time, row, column. */
export type Place = readonly [number, number, number];

/** Counts the places of a sequence. Plain data: a copy is a branch. */
export interface Counter {
  /** Place of the next text token. */
  next: number;
  /** Tokens seen of the image under way. */
  inImage: number;
}

/** At the start of a sequence. */
export function counter(): Counter {
  return { next: 0, inImage: 0 };
}

/** Places of the next tokens; the counter moves on. */
export function placesOf(
  at: Counter,
  ids: ArrayLike<number>,
  info: ModelInfo,
): Place[] {
  return Array.from(ids, (id): Place => {
    const n = at.next;
    if (id !== info.image?.tokenId) {
      at.next++;
      return [n, n, n];
    }
    const [height, width] = gridOf(info);
    const i = at.inImage++;
    if (at.inImage === info.image.tokens) {
      at.inImage = 0;
      at.next += info.image.atOnePlace ? 1 : Math.max(height, width);
    }
    if (info.image.atOnePlace) return [n, n, n];
    return [n, n + Math.floor(i / width), n + i % width];
  });
}

/** Rows and columns of tokens that an image becomes. */
function gridOf(info: ModelInfo): [number, number] {
  const { height, width, patch, tokens } = imageOf(info);
  const merged = patch * Math.sqrt(patchesPerImage(info) / tokens);
  return [height / merged, width / merged];
}
