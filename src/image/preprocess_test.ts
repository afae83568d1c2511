import { assert, assertEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { formulaImage, formulaImageOf } from "../../tests/formula_image.ts";
import { ImageError } from "./image.ts";
import { preprocess } from "./preprocess.ts";
import { readImagePlan } from "./processors.ts";
import { resize } from "./resize.ts";
import split from "./split_golden.json" with { type: "json" };
import golden from "../../tests/golden/processor.json" with { type: "json" };

const sha256 = (bytes: Uint8Array) =>
  createHash("sha256").update(bytes).digest("hex");
const RESAMPLE = { lanczos: 1, bilinear: 2, bicubic: 3 };
const config = (changes: Record<string, unknown> = {}) =>
  JSON.stringify({
    do_resize: true,
    size: { height: golden.side, width: golden.side },
    resample: 3,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
    do_image_splitting: false,
    ...changes,
  });

Deno.test("squashed pixels equal transformers' for every filter and size", () => {
  for (const { image, source_sha256, filters } of golden.cases) {
    const source = formulaImageOf(image);
    assertEquals(sha256(source.data), source_sha256);
    for (const [filter, want] of Object.entries(filters)) {
      const plan = readImagePlan(
        config({ resample: RESAMPLE[filter as keyof typeof RESAMPLE] }),
      );
      const { tiles, rows, cols } = preprocess(source, plan);
      const { height, width, data } = tiles[0];
      assertEquals([tiles.length, rows, cols, height, width], [
        1,
        0,
        0,
        golden.side,
        golden.side,
      ]);
      assertEquals(
        [...data.slice(0, 3)],
        want.row0_first8[0],
        `${image} ${filter}`,
      );
      assertEquals(sha256(data), want.sha256, `${image} ${filter}`);
      const value = (data[0] * plan.rescale - plan.mean[0]) / plan.std[0];
      assert(Math.abs(value - want.normalised_first4[0][0]) < 1e-6);
    }
  }
});

Deno.test("tiles of a cut picture equal transformers'", () => {
  for (
    const { image, longest, tile, split: cut, rows, cols, shape, sha256: want }
      of split.cases
  ) {
    const plan = readImagePlan(config({
      resample: 1,
      size: { longest_edge: longest },
      max_image_size: { longest_edge: tile },
      do_image_splitting: cut,
    }));
    const got = preprocess(formulaImageOf(image), plan);
    const what = `${image} to ${longest} in ${tile}`;
    assertEquals([got.rows, got.cols], [rows, cols], what);
    for (const { height, width } of got.tiles) {
      assertEquals([got.tiles.length, height, width], shape, what);
    }
    const all = createHash("sha256");
    for (const { data } of got.tiles) all.update(data);
    assertEquals(all.digest("hex"), want, what);
  }
});

Deno.test("1920 × 1280 to 224 × 224 stays quick", () => {
  const photo = formulaImage("waves", 1920, 1280);
  resize(photo, 224, 224, "bicubic");
  const times = Array.from({ length: 3 }, () => {
    const start = performance.now();
    resize(photo, 224, 224, "bicubic");
    return performance.now() - start;
  });
  // About 40 ms on a 2-core Zen4; the bound leaves room for a busy machine.
  assert(Math.min(...times) < 400, `${times}`);
});

Deno.test("resizing refuses sides that are none", () => {
  const image = formulaImage("waves", 4, 4);
  for (const side of [0, -1, 1.5, NaN, Infinity, 65_536]) {
    assertThrows(
      () => resize(image, side, 4, "bicubic"),
      ImageError,
      "whole numbers",
    );
  }
  const same = resize(image, 4, 4, "lanczos");
  assertEquals(same, image);
  assert(same.data !== image.data);
});

Deno.test("settings that cannot be followed are refused with their value", () => {
  const refused = (changes: Record<string, unknown>, message: string) => {
    const error = assertThrows(
      () => readImagePlan(config(changes)),
      ImageError,
      message,
    );
    assertEquals(error.code, "settings");
  };
  refused({ resample: 0 }, "it is 0");
  refused({ resample: "constructor" }, "resample must be");
  for (const width of [0, -224, 1e9, 2.5, null, "224"]) {
    refused({ size: { height: 224, width } }, "size.width");
  }
  refused({ size: { shortest_edge: 224 } }, "size.height");
  refused({ image_mean: [0.5] }, "image_mean");
  refused({ image_std: [1, 0, 1] }, "positive");
  refused({ image_std: [1, null, 1] }, "image_std");
  refused({ rescale_factor: 0 }, "rescale_factor");
  refused({ do_image_splitting: true }, "needs max_image_size");
  refused({ size: { longest_edge: 512 } }, "needs max_image_size");
  refused({ do_resize: false }, "one size");
  assertThrows(() => readImagePlan("{"), ImageError, "the end at character 1");
  const plain = readImagePlan(
    config({ do_rescale: false, do_normalize: false }),
  );
  assertEquals([plain.rescale, plain.mean, plain.std], [1, [0, 0, 0], [
    1,
    1,
    1,
  ]]);
});
