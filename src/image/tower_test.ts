import { assertEquals } from "@std/assert";
import { formulaImage } from "../../tests/formula_image.ts";
import { oneTile } from "./plan.ts";
import { preprocess, towerTile } from "./preprocess.ts";
import { readImagePlan } from "./processors.ts";
import { pixelBounds, smartResize, squareSide } from "./smart_resize.ts";

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
  const { tiles } = preprocess(picture, oneTile(plan));
  assertEquals([tiles.length, tiles[0].width, tiles[0].height], [1, 16, 16]);
});

Deno.test("towerTile drops what no whole patch covers, at the right and at the bottom", () => {
  const given = formulaImage("waves", 5, 4), { data } = given;
  const tile = towerTile(given, { width: 3, height: 3, patchSize: 3 })!.data;
  for (let y = 0; y < 3; y++) {
    assertEquals(
      tile.slice(y * 9, y * 9 + 9),
      data.slice(y * 15, y * 15 + 9),
    );
  }
  assertEquals(towerTile(given, { width: 5, height: 4, patchSize: 1 }), given);
  assertEquals(
    towerTile(given, { width: 4, height: 4, patchSize: 1 }),
    undefined,
  );
  assertEquals(
    towerTile(given, { width: 6, height: 4, patchSize: 3 }),
    undefined,
  );
});

Deno.test("squareSide: what the processor's limit allows in whole merged patches, at most 448", () => {
  const side = (processor: Record<string, unknown>) =>
    squareSide(pixelBounds(processor));
  assertEquals(side({}), 448);
  assertEquals(side({ max_pixels: 12845056 }), 448);
  assertEquals(side({ max_pixels: 200 * 200 }), 196);
  assertEquals(side({ size: { longest_edge: 28 * 28 * 64 } }), 224);
  assertEquals(side({ max_pixels: 10 }), 28);
  assertEquals(side({ patch_size: 4, merge_size: 2, max_pixels: 1024 }), 32);
});

// Asked of transformers' smart_resize: [width, height, least, most] → [width, height].
const RESIZED: [number[], [number, number]][] = [
  [[640, 480, 3136, 200704], [504, 364]],
  [[480, 640, 3136, 200704], [364, 504]],
  [[448, 448, 3136, 200704], [448, 448]],
  [[4000, 3000, 3136, 200704], [504, 364]],
  [[30, 20, 3136, 200704], [84, 56]],
  [[1, 1, 3136, 200704], [56, 56]],
  [[42, 14, 3136, 200704], [112, 56]],
  [[70, 98, 784, 12845056], [56, 112]],
  [[210, 14, 784, 12845056], [112, 28]],
  [[1920, 1080, 3136, 1003520], [1316, 728]],
  [[2000, 11, 3136, 200704], [756, 28]],
  [[333, 777, 65536, 401408], [336, 784]],
  [[56, 42, 784, 200704], [56, 56]],
];

Deno.test("smartResize: sides as transformers' smart_resize chooses them", () => {
  for (const [[width, height, least, most], want] of RESIZED) {
    const got = smartResize({ width, height }, { unit: 28, least, most });
    assertEquals([got.width, got.height], want, `${width}×${height}`);
  }
});

Deno.test("smartResize: never more pixels than planned for, whatever the shape", () => {
  for (const most of [784, 3136, 200704]) {
    for (const [width, height] of [[1, 200], [200, 1], [25, 40], [4000, 20]]) {
      const got = smartResize({ width, height }, {
        unit: 28,
        least: most,
        most,
      });
      assertEquals(got.width * got.height <= most, true, `${width}×${height}`);
    }
  }
});
