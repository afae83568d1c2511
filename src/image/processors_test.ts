import { assertEquals, assertThrows } from "@std/assert";
import { ImageError } from "./image.ts";
import { boundsOf } from "./plan.ts";
import { readImagePlan } from "./processors.ts";
import { nestedSettings } from "./processors.ts";

const plan = (settings: Record<string, unknown>) =>
  readImagePlan(JSON.stringify(settings));

Deno.test("absent settings have the defaults of the class", () => {
  const qwen = plan({ image_processor_type: "Qwen2VLImageProcessorFast" });
  assertEquals(qwen.resampling, "bicubic");
  assertEquals(qwen.mean, [0.48145466, 0.4578275, 0.40821073]);
  assertEquals(boundsOf(qwen), { unit: 28, least: 3136, most: 1003520 });
  const idefics = plan({ image_processor_type: "Idefics3ImageProcessor" });
  assertEquals(
    [idefics.resampling, idefics.tiling],
    ["lanczos", {
      kind: "split",
      first: { longestEdge: 1456 },
      tile: 364,
      split: true,
    }],
  );
  const gemma = plan({ image_processor_type: "Gemma3ImageProcessorFast" });
  assertEquals(
    [gemma.resampling, gemma.tiling, gemma.rescale],
    [
      "bilinear",
      { kind: "resize", size: { height: 224, width: 224 } },
      1 / 255,
    ],
  );
  const internvl = plan({ image_processor_type: "GotOcr2ImageProcessorFast" });
  assertEquals(
    internvl.tiling,
    {
      kind: "grid",
      size: { height: 384, width: 384 },
      count: { least: 1, most: 12 },
    },
  );
});

Deno.test("stated settings win over defaults, null does not", () => {
  const got = plan({
    image_processor_type: "Qwen2VLImageProcessor",
    min_pixels: 784,
    size: { longest_edge: 50176, shortest_edge: 3136 },
    image_mean: [0, 0, 0],
    image_std: null,
    patch_size: 16,
    resample: null,
  });
  assertEquals(boundsOf(got), { unit: 32, least: 784, most: 50176 });
  assertEquals(got.mean, [0, 0, 0]);
  assertEquals(got.std, [0.26862954, 0.26130258, 0.27577711]);
  assertEquals(got.resampling, "bicubic");
});

Deno.test("a class without known defaults must state its settings", () => {
  const error = assertThrows(
    () => plan({ image_processor_type: "constructor", size: 32 }),
    ImageError,
    "it is undefined",
  );
  assertEquals(error.message.includes("Qwen2VLImageProcessor"), true);
});

Deno.test("settings within a processor_config.json are found", () => {
  const settings = { image_processor_type: "SmolVLMImageProcessor" };
  assertEquals(nestedSettings({ image_processor: settings }), settings);
  for (const image_processor of [undefined, null, [], "text", 1]) {
    assertEquals(nestedSettings({ image_processor }), undefined);
  }
});
