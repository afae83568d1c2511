/** Pictures that become squares and keep their shape: CLIP's middle, LLaVA's padding. */
import { assertEquals, assertThrows } from "@std/assert";
import { formulaImageOf } from "../../tests/formula_image.ts";
import { type Image, ImageError } from "./image.ts";
import { preprocess } from "./preprocess.ts";
import { readImagePlan } from "./processors.ts";
import { resize } from "./resize.ts";

const planOf = (settings: Record<string, unknown>) =>
  readImagePlan(JSON.stringify(settings));

/** Pixel by pixel: `at` of a picture, or the color where it lies outside. */
function moved(
  { width, height, data }: Image,
  [left, top, wide, high]: readonly number[],
  color: readonly number[],
): Image {
  const out = new Uint8Array(wide * high * 3);
  for (let i = 0; i < out.length; i++) {
    const c = i % 3, x = (i - c) / 3 % wide + left;
    const y = Math.floor(i / 3 / wide) + top;
    const inside = x >= 0 && x < width && y >= 0 && y < height;
    out[i] = inside ? data[(y * width + x) * 3 + c] : color[c];
  }
  return { width: wide, height: high, data: out };
}

const SIZES = [[75, 50], [50, 75], [33, 100], [32, 32], [200, 31], [7, 9]];

Deno.test("CLIP's middle: the shorter edge resized, then cropped", () => {
  const plan = planOf({
    image_processor_type: "CLIPImageProcessor",
    size: { shortest_edge: 40 },
    crop_size: { height: 32, width: 36 },
  });
  for (const [width, height] of SIZES) {
    const picture = formulaImageOf(`formula:stripes:${width}x${height}`);
    const short = Math.min(width, height);
    const [w, h] = [width, height].map((n) =>
      n === short ? 40 : Math.trunc(40 * n / short)
    );
    const large = resize(picture, w, h, "bicubic");
    const place = [Math.floor((w - 36) / 2), Math.floor((h - 32) / 2), 36, 32];
    const { tiles } = preprocess(picture, plan);
    assertEquals(tiles, [moved(large, place, [])]);
  }
});

Deno.test("LLaVA's padding: a square of the mean color, then resized", () => {
  const image_mean = [0.5, 0.25, 1];
  for (
    const plan of [
      planOf({
        image_processor_type: "LlavaOnevisionImageProcessor",
        size: { height: 24, width: 24 },
        image_mean,
      }),
      planOf({
        image_processor_type: "LlavaImageProcessorFast",
        size: { shortest_edge: 24 },
        crop_size: { height: 24, width: 24 },
        do_pad: true,
        image_mean,
      }),
    ]
  ) {
    for (const [width, height] of SIZES) {
      const picture = formulaImageOf(`formula:waves:${width}x${height}`);
      const side = Math.max(width, height);
      const left = -Math.floor((side - width) / 2);
      const top = -Math.floor((side - height) / 2);
      const square = moved(picture, [left, top, side, side], [127, 63, 255]);
      const { tiles } = preprocess(picture, plan);
      assertEquals(tiles, [resize(square, 24, 24, "bicubic")]);
    }
  }
});

Deno.test("a long picture is padded in little memory", () => {
  const data = new Uint8Array(3_000 * 3).fill(200);
  const { tiles: [tile] } = preprocess(
    { width: 1, height: 3_000, data },
    planOf({ image_processor_type: "LlavaOnevisionImageProcessor" }),
  );
  assertEquals([tile.width, tile.height], [384, 384]);
});

Deno.test("settings that give no square are refused", () => {
  const clip = { image_processor_type: "CLIPImageProcessor" };
  for (
    const settings of [
      { ...clip, do_center_crop: false },
      { ...clip, do_resize: false },
      { ...clip, size: { shortest_edge: 200 } },
      { ...clip, size: { shortest_edge: -1 } },
      {
        image_processor_type: "LlavaOnevisionImageProcessor",
        size: { height: 24, width: 32 },
      },
    ]
  ) {
    assertThrows(() => planOf(settings), ImageError, "preprocessor_config");
  }
  const long = { width: 1, height: 60_000, data: new Uint8Array(180_000) };
  assertThrows(() => preprocess(long, planOf(clip)), ImageError, "13440000");
});
