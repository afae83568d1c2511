/**
 * Attention mask of the text phase. A token attends up to itself; where the tokens of
 * an image attend to each other (moondream), up to the last token of its image.
 * @module
 */
import type { ImageInfo } from "./info.ts";

/** Index of the last token that each token attends to, in a chunk of whole images. */
export function maskEnds(
  ids: ArrayLike<number>,
  image: ImageInfo | undefined,
): Int32Array {
  let left = 0;
  return Int32Array.from(ids, (id, i) => {
    if (!image?.bidirectional || id !== image.tokenId) return i;
    if (left === 0) left = image.tokens;
    return i + --left;
  });
}

/**
 * End of a chunk of at most `most` tokens that begins at `from`. With bidirectional
 * image tokens it ends before an image that it would split. `from` must not lie
 * inside an image.
 */
export function chunkEnd(
  ids: ArrayLike<number>,
  from: number,
  most: number,
  image: ImageInfo | undefined,
): number {
  const end = Math.min(from + most, ids.length);
  if (!image?.bidirectional) return end;
  let whole = from;
  for (let at = from; at < end;) {
    at += ids[at] === image.tokenId ? image.tokens : 1;
    if (at <= end) whole = at;
  }
  return whole;
}
