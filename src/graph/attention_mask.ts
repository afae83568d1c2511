/**
 * How far a token of the text phase sees: to itself, or, where the tokens of an
 * image see each other (moondream), to the image's last.
 * @module
 */
import type { ImageInfo } from "./info.ts";

/** Index of the last token that each token sees, in a chunk that cuts no image. */
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
 * Where a chunk of at most `most` tokens that begins at `from` ends: before an
 * image that it would cut, where its tokens see each other. No image is cut at
 * `from`.
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
