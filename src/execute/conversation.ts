/**
 * What a model has taken in: tokens in their original order, and the image rows
 * that stand for the image tokens among them.
 * @module
 */
import { defaultGrid, type Grid, tokensIn } from "../graph/grid.ts";
import type { ImageInfo } from "../graph/info.ts";

/** Tokens and image rows seen. */
export class Conversation {
  readonly #ids: number[] = [];
  #rows = new Float32Array(0);
  /** Grids of its images, in order; one that is missing has the tower's own size. */
  grids: readonly Grid[] = [];

  /** Nothing is seen; `width` is that of an image row. */
  constructor(
    private readonly image: ImageInfo | undefined,
    private readonly width: number,
  ) {}

  /** Tokens seen. */
  get ids(): readonly number[] {
    return this.#ids;
  }

  /** Notes tokens. */
  add(ids: Iterable<number>): void {
    for (const id of ids) this.#ids.push(id);
  }

  /** Notes the rows of image tokens, noted or yet to be. */
  addRows(rows: Float32Array): void {
    const all = new Float32Array(this.#rows.length + rows.length);
    all.set(this.#rows);
    all.set(rows, this.#rows.length);
    this.#rows = all;
  }

  /** Forgets all but the first `keep` tokens. */
  forget(keep: number): void {
    this.#ids.length = keep;
    const { image } = this;
    const rows = this.#ids.filter((id) => id === image?.tokenId).length;
    this.#rows = this.#rows.slice(0, rows * this.width);
  }

  /**
   * How many tokens a new prompt shares with this conversation from the
   * beginning, at a point where the cache can be cut.
   * @param ids the whole prompt
   * @param rows rows of all its images, one behind the other
   * @param grids of its images
   * @param order original position of each cached token
   * @returns always fewer than the prompt has: its last token makes the logits
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
