/**
 * Attention-Invariant Flexible Switching (AIFS, MQuant §3.1). The rows of a chunk are
 * reordered: image rows first, then text rows, each in original order. So each
 * modality is one contiguous range. Attention is unchanged, because rotary embedding
 * and mask use the original positions.
 * @module
 */

/** Row order of a chunk. */
export interface ChunkOrder {
  /** Original index within the chunk of each row. */
  readonly original: Int32Array;
  /** Number of image rows. */
  readonly imageRows: number;
  /** Row of the chunk's last token. */
  readonly last: number;
}

/** Row order of a chunk of token ids. */
export function chunkOrder(
  ids: ArrayLike<number>,
  imageTokenId: number | undefined,
): ChunkOrder {
  const original = new Int32Array(ids.length);
  let imageRows = 0;
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === imageTokenId) original[imageRows++] = i;
  }
  let at = imageRows;
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] !== imageTokenId) original[at++] = i;
  }
  const end = ids.length - 1;
  const last = ids[end] === imageTokenId ? imageRows - 1 : end;
  return { original, imageRows, last };
}
