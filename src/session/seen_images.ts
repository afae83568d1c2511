/**
 * Rows of the images seen last, by their pixels: a conversation about a photo
 * sends it again with every question.
 * @module
 */
import type { Image } from "../image/image.ts";

/** Most images remembered: some 100 KB each. */
const MOST = 8;

/** A small memory of encoded images. */
export interface SeenImages {
  /** Rows of a tile: remembered, or computed by `encode`. */
  rows(
    tile: Image,
    encode: () => Promise<Float32Array>,
  ): Promise<Float32Array>;
}

/** An empty memory. */
export function seenImages(): SeenImages {
  const known = new Map<string, Float32Array>();
  return {
    async rows({ width, height, data }, encode) {
      const hash = new Uint8Array(
        await crypto.subtle.digest("SHA-256", data),
      ).toHex();
      const key = `${width} × ${height} ${hash}`;
      const rows = known.get(key) ?? await encode();
      known.delete(key); // the latest goes to the end
      known.set(key, rows);
      if (known.size > MOST) known.delete(known.keys().next().value!);
      return rows;
    },
  };
}
