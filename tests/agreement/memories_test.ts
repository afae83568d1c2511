/**
 * A model distributed over several memories, or above 2 GiB of one, gives the same
 * bits: every build, any number of threads, images and text, weights of 4 and 8 bits
 * and in groups, matmuls that accumulate into a stream and matmuls that do not.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { referenceKernels } from "../../src/kernels/reference/mod.ts";
import { Engine } from "../../src/execute/engine.ts";
import { type EngineOptions, planFor } from "../../src/execute/options.ts";
import { RECIPES } from "../../src/quantize/recipe.ts";
import { RuntimeError } from "../../src/graph/error.ts";
import type { PixelScale } from "../../src/execute/pixels.ts";
import type { StaticModel } from "../../src/graph/static_model.ts";
import { CROSS_MEMORY_COPY, STEP_KERNELS } from "../../src/plan/step.ts";
import { gridsOf, openFamily, pixelsOf } from "../golden/family.ts";
import { staticFamily } from "./family_file.ts";

/** A page less than a toy takes in one memory. */
function tooSmall(
  model: StaticModel,
  plan: PixelScale | undefined,
  threads: number,
): number {
  const whole = planFor(model, plan, { threads, context: 256 });
  return whole.memory.total - 65536;
}

/** As little as the first memory takes when every weight is in others. */
function smallest(
  model: StaticModel,
  plan: PixelScale | undefined,
  threads: number,
): number {
  let no = 0, yes = tooSmall(model, plan, threads);
  while (yes - no > 65536) {
    const memoryBytes = (no + yes) >> 1;
    try {
      planFor(model, plan, { threads, context: 256, memoryBytes });
      yes = memoryBytes;
    } catch {
      no = memoryBytes;
    }
  }
  return yes;
}

const TOYS = [
  "internvl-toy",
  "qwen2vl-toy",
  "qwen3vl-toy",
  "minicpmv-toy",
  "cogvlm2-toy",
  "moondream-toy",
];

const { w4a8, w8a8 } = RECIPES, groups = { ...w4a8, groups: 32 };

for (const name of TOYS) {
  Deno.test(`the same bits from several memories: ${name}`, async () => {
    using family = openFamily(name);
    const wide = name === "minicpmv-toy"; // rows of 96 and 128
    for (const recipe of wide ? [w4a8, groups, w8a8] : [w4a8, w8a8]) {
      const { model } = staticFamily(family, recipe);
      const { longest } = family, tiles = pixelsOf(family, longest);
      const grids = gridsOf(family, tiles);
      const logits = async (options: EngineOptions) => {
        await using engine = await Engine.create(model, family.plan, {
          context: 256,
          ...options,
        });
        const rows: number[] = [], all: number[] = [];
        for (const tile of tiles) rows.push(...await engine.encode(tile));
        all.push(
          ...await engine.prefill(
            longest.input_ids,
            Float32Array.from(rows),
            undefined,
            grids,
          ),
        );
        for (const id of [1, 65, 270]) all.push(...await engine.decode(id));
        return { all, memories: engine.plan.memories.length };
      };
      assertEquals(model.groups.size > 0, recipe === groups);
      const one = await logits({ threads: 1 });
      assertEquals(one.memories, 1);
      const high = await logits({ threads: 2, firstAddress: 2 ** 31 });
      assertEquals(high.all, one.all, "addresses of more than 31 bits");
      const ways: EngineOptions[] = [
        { threads: 1, build: "simd" },
        { threads: 3, build: "relaxed" },
        { threads: 1, kernels: referenceKernels },
      ];
      for (const [i, way] of ways.entries()) {
        const limit = i === 0 ? tooSmall : smallest;
        const memoryBytes = limit(model, family.plan, way.threads!);
        const cut = await logits({ ...way, memoryBytes });
        assert(cut.memories > 1, `${cut.memories} memories`);
        assertEquals(cut.all, one.all);
      }
    }
  });
}

Deno.test("a cut plan: no memory beyond its limit, all weights somewhere, only known steps", () => {
  using family = openFamily("qwen2vl-toy");
  const { model } = staticFamily(family, w4a8);
  const options = { threads: 2, context: 256 };
  const { memory: whole } = planFor(model, family.plan, options);
  const memoryBytes = tooSmall(model, family.plan, 2);
  const cut = planFor(model, family.plan, { ...options, memoryBytes });
  assert(cut.memories.every((m) => m.bytes <= memoryBytes));
  assertEquals(cut.memory.weights, whole.weights);
  for (const list of [cut.vision!, cut.prefill, cut.decode]) {
    for (const { kernel } of list.steps) {
      assert(
        kernel === CROSS_MEMORY_COPY || STEP_KERNELS.includes(kernel),
        kernel,
      );
    }
  }
  const error = assertThrows(
    () => planFor(model, family.plan, { ...options, memoryBytes: 1 << 16 }),
    RuntimeError,
    "everything except the weights must fit",
  );
  assertEquals(error.code, "memory");
});
