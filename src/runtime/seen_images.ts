/**
 * Rows of the images seen last, by their pixels: a conversation about a photo
 * sends it again with every question.
 * @module
 */

/** Most images remembered: some 100 KB each. */
const MOST = 8;

/** A small memory of encoded images. */
export interface SeenImages {
  /** Rows of an image: remembered, or computed by `encode`. */
  rows(
    pixels: Uint8Array,
    encode: () => Promise<Float32Array>,
  ): Promise<Float32Array>;
}

/** An empty memory. */
export function seenImages(): SeenImages {
  const known = new Map<string, Float32Array>();
  return {
    async rows(pixels, encode) {
      const bytes = pixels as Uint8Array<ArrayBuffer>;
      const hash = new Uint8Array(
        await crypto.subtle.digest("SHA-256", bytes),
      ).toHex();
      const rows = known.get(hash) ?? await encode();
      known.delete(hash); // the latest goes to the end
      known.set(hash, rows);
      if (known.size > MOST) known.delete(known.keys().next().value!);
      return rows;
    },
  };
}
