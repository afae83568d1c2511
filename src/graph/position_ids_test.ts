import { assertEquals } from "@std/assert";
import type { ModelInfo } from "./info.ts";
import { newPositionCounter, positionIds } from "./position_ids.ts";

const INFO = {
  image: { height: 8, width: 12, patchSize: 2, tokens: 6, tokenId: 9 },
} as ModelInfo; // 4 × 6 patches, merged to 2 × 3 tokens

// Worked by hand from get_rope_index: text 0 1, image at 2, next text at 2 + 3.
const IDS = [1, 1, 9, 9, 9, 9, 9, 9, 1, 1];
const WANT = [
  ...[[0, 0, 0], [1, 1, 1]],
  ...[[2, 2, 2], [2, 2, 3], [2, 2, 4], [2, 3, 2], [2, 3, 3], [2, 3, 4]],
  ...[[5, 5, 5], [6, 6, 6]],
] as [number, number, number][];

Deno.test("placesOf: text goes on, an image spreads over rows and columns", () => {
  assertEquals(positionIds(newPositionCounter(), IDS, INFO), WANT);
});

Deno.test("placesOf: an image at one place, what follows behind it", () => {
  const info = {
    ...INFO,
    image: { ...INFO.image!, sharedPosition: true as const },
  };
  const want = [0, 1, 2, 2, 2, 2, 2, 2, 3, 4].map((n) => [n, n, n]);
  assertEquals(
    positionIds(newPositionCounter(), IDS, info).map((p) => [...p]),
    want,
  );
  // its first token alone, the others at the next place
  const led = { ...info, image: { ...info.image, leadingTokens: 1 } };
  const then = [0, 1, 2, 3, 3, 3, 3, 3, 4, 5].map((n) => [n, n, n]);
  for (let cut = 0; cut <= IDS.length; cut++) {
    const at = newPositionCounter(),
      head = positionIds(at, IDS.slice(0, cut), led);
    const all = [...head, ...positionIds(at, IDS.slice(cut), led)];
    assertEquals(all.map((p) => [...p]), then);
  }
});

Deno.test("placesOf: a sequence may be cut anywhere, inside an image too", () => {
  for (let cut = 0; cut <= IDS.length; cut++) {
    const at = newPositionCounter();
    const head = positionIds(at, IDS.slice(0, cut), INFO);
    assertEquals([...head, ...positionIds(at, IDS.slice(cut), INFO)], WANT);
  }
});
