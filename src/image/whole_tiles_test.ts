/** nanoVLM's tiles: how many the original makes of a picture, fewer where asked, and the whole picture in front. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { formulaImageOf } from "../../tests/formula_image.ts";
import { ImageError } from "./image.ts";
import { atMostTiles } from "./plan.ts";
import { preprocess } from "./preprocess.ts";
import { readImagePlan } from "./processors.ts";
import { resizeInFloats } from "./resize.ts";

const planOf = (more: Record<string, unknown>) =>
  readImagePlan(JSON.stringify({
    image_processor_type: "NanoVLMImageProcessor",
    size: { height: 32, width: 32 },
    max_img_size: 128,
    ...more,
  }));

/** [width, height, rows, columns, and both of pictures that grow] of `DynamicResize._get_new_hw`, a sixteenth of its sizes. */
const ORIGINAL = [
  [6, 5, 1, 1, 4, 4],
  [32, 32, 1, 1, 4, 4],
  [33, 32, 2, 2, 4, 4],
  [40, 30, 2, 2, 3, 4],
  [120, 68, 3, 4, 3, 4],
  [68, 120, 4, 3, 4, 3],
  [312, 3, 1, 4, 1, 4],
  [188, 188, 4, 4, 4, 4],
  [44, 94, 3, 2, 4, 2],
] as const;

Deno.test("as many tiles as the original makes", () => {
  for (const [width, height, ...counts] of ORIGINAL) {
    const picture = formulaImageOf(`formula:waves:${width}x${height}`);
    for (const [i, resize_to_max_side_len] of [false, true].entries()) {
      const made = preprocess(picture, planOf({ resize_to_max_side_len }));
      const [rows, cols] = counts.slice(2 * i);
      const one = rows * cols === 1;
      assertEquals([made.rows, made.cols], one ? [0, 0] : [rows, cols]);
      assertEquals(made.tiles.length, one ? 1 : rows * cols + 1);
      assert(made.tiles.every((t) => t.width === 32 && t.height === 32));
    }
  }
});

Deno.test("fewer tiles where asked", () => {
  const plan = planOf({ resize_to_max_side_len: true });
  const picture = formulaImageOf("formula:waves:120x68");
  for (let most = 1; most < 20; most++) {
    const { tiles } = preprocess(picture, atMostTiles(plan, most));
    assert(tiles.length <= most, `${tiles.length} of ${most}`);
    if (most >= 13) assertEquals(tiles.length, 13);
  }
});

Deno.test("the whole picture is the mean of its pixels, near enough", () => {
  const picture = formulaImageOf("formula:waves:64x96");
  const { data } = resizeInFloats(picture, 32, 32);
  /** Bilinear with antialias: 2·scale source pixels, weighted by their distance. */
  const at = (x: number, y: number, c: number) => {
    let sum = 0, weights = 0;
    for (let v = 0; v < 96; v++) {
      for (let u = 0; u < 64; u++) {
        const w = Math.max(0, 1 - Math.abs(u + 0.5 - 2 * x - 1) / 2) *
          Math.max(0, 1 - Math.abs(v + 0.5 - 3 * y - 1.5) / 3);
        sum += w * picture.data[(v * 64 + u) * 3 + c];
        weights += w;
      }
    }
    return sum / weights;
  };
  for (const [x, y, c] of [[0, 0, 0], [5, 9, 1], [31, 31, 2], [16, 0, 0]]) {
    const want = at(x, y, c), got = data[(y * 32 + x) * 3 + c];
    assert(Math.abs(got - want) <= 0.5 + 1e-9, `${got} for ${want}`);
  }
});

Deno.test("settings that fit no tiles are refused", () => {
  for (
    const more of [
      { max_img_size: 100 },
      { max_img_size: 0 },
      { max_img_size: 8192 },
      { size: { height: 32, width: 64 } },
    ]
  ) assertThrows(() => planOf(more), ImageError, "preprocessor_config");
});
