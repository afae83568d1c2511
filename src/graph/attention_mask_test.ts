import { assertEquals } from "@std/assert";
import type { ImageInfo } from "./info.ts";
import { chunkEnd, maskEnds } from "./attention_mask.ts";

const IMAGE = { tokens: 3, tokenId: 9, bidirectional: true } as ImageInfo;
const IDS = [1, 9, 9, 9, 9, 9, 9, 2, 3];

Deno.test("sightOf: text to itself, an image's tokens to its last", () => {
  assertEquals([...maskEnds(IDS, IMAGE)], [0, 3, 3, 3, 6, 6, 6, 7, 8]);
  const causal = { tokens: 3, tokenId: 9 } as ImageInfo;
  assertEquals([...maskEnds(IDS, causal)], [0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

Deno.test("chunkEnd: no image is cut whose tokens see each other", () => {
  const ends = [3, 4, 5, 6, 7, 8, 9, 20].map((n) => chunkEnd(IDS, 0, n, IMAGE));
  assertEquals(ends, [1, 4, 4, 4, 7, 8, 9, 9]);
  assertEquals(chunkEnd(IDS, 1, 3, IMAGE), 4);
  assertEquals(chunkEnd(IDS, 0, 3, undefined), 3);
});
