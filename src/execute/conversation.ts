/**
 * The tokens in the KV cache, in their original order, and the image rows of the
 * image tokens among them.
 * @module
 */
import { defaultGrid, type Grid, tokensIn } from "../graph/grid.ts";
import type { ImageInfo } from "../graph/info.ts";

/** Cached tokens and image rows. */
export class Conversation {
  readonly #ids: number[] = [];
  #rows = new Float32Array(0);
  /** Grids of its images, in order; default: the model's image size. */
  grids: readonly Grid[] = [];

  /** An empty conversation; `width` is the width of an image row. */
  constructor(
    private readonly image: ImageInfo | undefined,
    private readonly width: number,
  ) {}

  /** Cached tokens. */
  get ids(): readonly number[] {
    return this.#ids;
  }

  /** Appends tokens. */
  add(ids: Iterable<number>): void {
    for (const id of ids) this.#ids.push(id);
  }

  /** Appends the rows of image tokens; the tokens may be appended before or after. */
  addRows(rows: Float32Array): void {
    const all = new Float32Array(this.#rows.length + rows.length);
    all.set(this.#rows);
    all.set(rows, this.#rows.length);
    this.#rows = all;
  }

  /** Removes all but the first `keep` tokens. */
  truncate(keep: number): void {
    this.#ids.length = keep;
    const { image } = this;
    const rows = this.#ids.filter((id) => id === image?.tokenId).length;
    this.#rows = this.#rows.slice(0, rows * this.width);
  }

  /**
   * Length of the longest common prefix with a new prompt at which the cache can be
   * truncated.
   * @param ids the whole prompt
   * @param rows rows of all its images, concatenated
   * @param grids of its images
   * @param order original position of each cached token
   * @returns tokens; fewer than the prompt has, because its last token must run to compute logits
   */
  commonPrefix(
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
      if (image?.bidirectional && left > 0) continue; // an image cannot be split
      if (highest === i) keep = i + 1; // slots 0…i hold exactly the tokens 0…i
    }
    return keep;
  }
}

function equal(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}
