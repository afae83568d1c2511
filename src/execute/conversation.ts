/**
 * The tokens that a model has processed, in their original order, and the image
 * rows of their image tokens.
 * @module
 */
import { defaultGrid, type Grid, tokensIn } from "../graph/grid.ts";
import type { ImageInfo } from "../graph/info.ts";

/** Processed tokens and image rows. */
export class Conversation {
  readonly #ids: number[] = [];
  #rows = new Float32Array(0);
  /** Grids of its images, in order; a missing one has the tower's own size. */
  grids: readonly Grid[] = [];

  /**
   * Creates an empty conversation.
   * @param width elements of an image row
   */
  constructor(
    private readonly image: ImageInfo | undefined,
    private readonly width: number,
  ) {}

  /** Processed tokens. */
  get ids(): readonly number[] {
    return this.#ids;
  }

  /** Appends tokens. */
  add(ids: Iterable<number>): void {
    for (const id of ids) this.#ids.push(id);
  }

  /** Appends the rows of image tokens, before or after the tokens. */
  addRows(rows: Float32Array): void {
    const all = new Float32Array(this.#rows.length + rows.length);
    all.set(this.#rows);
    all.set(rows, this.#rows.length);
    this.#rows = all;
  }

  /** Removes all but the first `keep` tokens. */
  forget(keep: number): void {
    this.#ids.length = keep;
    const { image } = this;
    const rows = this.#ids.filter((id) => id === image?.tokenId).length;
    this.#rows = this.#rows.slice(0, rows * this.width);
  }

  /**
   * The length of the common prefix of a new prompt and this conversation at
   * which the cache can be truncated.
   * @param ids the whole prompt
   * @param rows rows of all its images, concatenated
   * @param grids grids of its images
   * @param order original position of each cached token
   * @returns less than the length of the prompt, because its last token
   * produces the logits
   */
  shared(
    ids: ArrayLike<number>,
    rows: Float32Array,
    grids: readonly Grid[],
    order: Int32Array,
  ): number {
    const { width, image } = this;
    const most = Math.min(this.#ids.length, ids.length - 1);
    let keep = 0, row = 0, highest = -1, images = 0, left = 0;
    for (let i = 0; i < most; i++) {
      if (ids[i] !== this.#ids[i]) break;
      if (image && ids[i] === image.tokenId) {
        if (left === 0) {
          const own = defaultGrid(image), grid = grids[images] ?? own;
          const mine = this.grids[images++] ?? own;
          if (grid.rows !== mine.rows || grid.cols !== mine.cols) break;
          left = tokensIn(image, grid);
        }
        left--;
        const at = row++ * width, end = at + width;
        if (!equal(rows.subarray(at, end), this.#rows.subarray(at, end))) break;
      }
      highest = Math.max(highest, order[i]);
      if (image?.bidirectional && left > 0) continue; // it cannot be cut
      if (highest === i) keep = i + 1; // slots 0…i hold just the tokens 0…i
    }
    return keep;
  }
}

function equal(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}
