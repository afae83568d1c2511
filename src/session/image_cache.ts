/**
 * A cache of encoded images by their pixels: a conversation about a photo sends it
 * again with every question.
 * @module
 */
import type { Image } from "../image/image.ts";

/** Most images in the cache, about 100 KB each. */
const MOST = 8;

/** Encoded images. */
export interface ImageCache {
  /** Rows of a tile: from the cache, or computed by `encode`. */
  rows(
    tile: Image,
    encode: () => Promise<Float32Array>,
  ): Promise<Float32Array>;
}

/** An empty cache. */
export function imageCache(): ImageCache {
  const known = new Map<string, Float32Array>();
  return {
    async rows({ width, height, data }, encode) {
      const hash = new Uint8Array(
        await crypto.subtle.digest("SHA-256", data),
      ).toHex();
      const key = `${width} × ${height} ${hash}`;
      const rows = known.get(key) ?? await encode();
      known.delete(key); // moves to the end: least recently used first
      known.set(key, rows);
      if (known.size > MOST) known.delete(known.keys().next().value!);
      return rows;
    },
  };
}
