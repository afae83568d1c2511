/**
 * Decompression bombs: images that are too large are refused from their headers,
 * quickly and with little memory; large images that are read need memory for their
 * pixels only.
 */
import { assert, assertRejects } from "@std/assert";
import { decode } from "../../src/image/decode.ts";
import { ImageError } from "../../src/image/image.ts";
import { IMAGE } from "./cases/image.ts";

const MOST_MS = 50, MOST_BYTES = 64 * 2 ** 20;
const BOMBS = IMAGE.filter(([code, what]) =>
  code === "too_large" || /bomb|palette of 64|end early/.test(what)
);

Deno.test(`${BOMBS.length} bombs: refused in ${MOST_MS} ms and 64 MiB each`, async () => {
  assert(BOMBS.length >= 12, `${BOMBS.length}`);
  for (const [code, what, bytes] of BOMBS) {
    let best = Infinity;
    const before = Deno.memoryUsage().rss;
    for (let i = 0; i < 5 && best > MOST_MS; i++) { // the machine may be busy
      const begin = performance.now();
      const error = await assertRejects(() => decode(bytes), ImageError);
      best = Math.min(best, performance.now() - begin);
      assert(error.code === code, `${what}: ${error.message}`);
    }
    const grown = Deno.memoryUsage().rss - before;
    assert(best <= MOST_MS, `${what} took ${best} ms`);
    assert(grown < MOST_BYTES, `${what} took ${grown} bytes`);
  }
});
