/** LFM2-VL's pictures: torch's bytes, its tiles, and settings that are refused. */
import { createHash } from "node:crypto";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { formulaImageOf } from "../../tests/formula_image.ts";
import { ImageError } from "./image.ts";
import { atMostTiles, withinPixels } from "./plan.ts";
import { preprocess } from "./preprocess.ts";
import { readImagePlan } from "./processors.ts";
import { resize } from "./resize.ts";

const SETTINGS = { image_processor_type: "Lfm2VlImageProcessorFast" };

/** SHA-256 of what torch 2.11's resize of bytes leaves (bilinear, antialias). */
const TORCH = [
  [
    "formula:waves:333x517",
    512,
    512,
    "5daa89eaddfe06d1388f49866500c71f1a1153ace4e25272cc4d46934c66904d",
  ],
  [
    "formula:stripes:1200x90",
    96,
    32,
    "abd113680273e9aeb13877d47d886cd9fa6f4b29d0efe4fb226a505e82084a68",
  ],
  [
    "formula:waves:37x100",
    96,
    64,
    "8d551434f4de75590c20fea83cfaafdcb37ee6458deec7448be44c25497f52e1",
  ],
  [
    "formula:stripes:64x64",
    512,
    480,
    "3b6188dcd4ccb102fd41a1982e3f97f9165d03e6707f113ca5500acffe8313be",
  ],
] as const;

Deno.test("torch-bilinear leaves torch's bytes, which are not Pillow's", () => {
  let differ = 0;
  for (const [name, width, height, want] of TORCH) {
    const picture = formulaImageOf(name);
    const { data } = resize(picture, width, height, "torch-bilinear");
    const hash = createHash("sha256").update(data).digest("hex");
    assertEquals(hash, want, name);
    const pillow = resize(picture, width, height, "bilinear");
    if (pillow.data.some((byte, i) => byte !== data[i])) differ++;
  }
  assert(differ > 0);
});

Deno.test("only pictures well above the budget are cut, and none where a tile exceeds it", () => {
  const plan = readImagePlan(JSON.stringify(SETTINGS));
  const sizes = (image: string, most: number, pixels = 512 * 512) => {
    const fitted = withinPixels(atMostTiles(plan, most), pixels);
    return preprocess(formulaImageOf(image), fitted).tiles
      .map(({ width, height }) => `${width}x${height}`);
  };
  assertEquals(sizes("formula:waves:700x500", 11), ["576x416"]);
  assertEquals(sizes("formula:waves:1024x768", 1), ["576x416"]);
  assertEquals(sizes("formula:waves:1024x500", 11), ["704x352"]);
  assertEquals(sizes("formula:waves:1600x800", 11), [
    ...Array(8).fill("512x512"),
    "704x352",
  ]);
  assertEquals(sizes("formula:waves:1600x800", 11, 448 * 448), ["608x288"]);
});

Deno.test("settings that are not built are refused", () => {
  for (
    const [change, what] of [
      [{ resample: 3 }, "resample"],
      [{ tile_size: 500 }, "tile_size"],
      [{ min_tiles: 4, max_tiles: 2 }, "max_tiles"],
      [{ max_pixels_tolerance: "2" }, "max_pixels_tolerance"],
    ] as const
  ) {
    assertThrows(
      () => readImagePlan(JSON.stringify({ ...SETTINGS, ...change })),
      ImageError,
      what,
    );
  }
});
