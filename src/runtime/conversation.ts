/**
 * What a model has taken in: tokens in their original order, and the image rows
 * that stand for the image tokens among them.
 * @module
 */

/** Tokens and image rows seen. */
export class Conversation {
  readonly #ids: number[] = [];
  #rows = new Float32Array(0);

  /** Nothing is seen; `width` is that of an image row. */
  constructor(
    private readonly imageTokenId: number | undefined,
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
    const rows = this.#ids.filter((id) => id === this.imageTokenId).length;
    this.#rows = this.#rows.slice(0, rows * this.width);
  }

  /**
   * How many tokens a new prompt shares with this conversation from the
   * beginning, at a point where the cache can be cut.
   * @param ids the whole prompt
   * @param rows rows of all its images, one behind the other
   * @param order original position of each cached token
   * @returns always fewer than the prompt has: its last token makes the logits
   */
  shared(
    ids: ArrayLike<number>,
    rows: Float32Array,
    order: Int32Array,
  ): number {
    const { width } = this, most = Math.min(this.#ids.length, ids.length - 1);
    let keep = 0, row = 0, highest = -1;
    for (let i = 0; i < most; i++) {
      if (ids[i] !== this.#ids[i]) break;
      if (ids[i] === this.imageTokenId) {
        const at = row++ * width, end = at + width;
        if (!equal(rows.subarray(at, end), this.#rows.subarray(at, end))) break;
      }
      highest = Math.max(highest, order[i]);
      if (highest === i) keep = i + 1; // slots 0…i hold just the tokens 0…i
    }
    return keep;
  }
}

function equal(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}
