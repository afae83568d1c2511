import { assertEquals } from "@std/assert";
import { formulaImage } from "./formula.ts";
import { oneTile, preprocess, readImagePlan, towerTile } from "./preprocess.ts";
import { squareSide } from "./square.ts";

const SMOLVLM = JSON.stringify({
  do_image_splitting: true,
  size: { longest_edge: 64 },
  max_image_size: { longest_edge: 16 },
  resample: 1,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
});

Deno.test("oneTile: a processor that would cut makes one tile of the tower's size", () => {
  const plan = readImagePlan(SMOLVLM), picture = formulaImage("waves", 40, 30);
  assertEquals(preprocess(picture, plan).tiles.length, 13);
  const { tiles, width, height } = preprocess(picture, oneTile(plan));
  assertEquals([tiles.length, width, height], [1, 16, 16]);
});

Deno.test("towerTile drops what no whole patch covers, at the right and at the bottom", () => {
  const { data } = formulaImage("waves", 5, 4);
  const tiles = { tiles: [data], rows: 0, cols: 0, width: 5, height: 4 };
  const tile = towerTile(tiles, { width: 3, height: 3, patch: 3 })!;
  for (let y = 0; y < 3; y++) {
    assertEquals(
      tile.slice(y * 9, y * 9 + 9),
      data.slice(y * 15, y * 15 + 9),
    );
  }
  assertEquals(towerTile(tiles, { width: 5, height: 4, patch: 1 }), data);
  assertEquals(towerTile(tiles, { width: 4, height: 4, patch: 1 }), undefined);
  assertEquals(towerTile(tiles, { width: 6, height: 4, patch: 3 }), undefined);
});

Deno.test("squareSide: what the processor's limit allows in whole merged patches, at most 448", () => {
  assertEquals(squareSide({}), 448);
  assertEquals(squareSide({ max_pixels: 12845056 }), 448);
  assertEquals(squareSide({ max_pixels: 200 * 200 }), 196);
  assertEquals(squareSide({ size: { longest_edge: 28 * 28 * 64 } }), 224);
  assertEquals(squareSide({ max_pixels: 10 }), 28);
  assertEquals(
    squareSide({ patch_size: 4, merge_size: 2, max_pixels: 1024 }),
    32,
  );
});
