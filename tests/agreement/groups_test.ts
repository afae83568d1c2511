/**
 * Weights with an integer scale per group: the engine agrees with the interpreter on
 * the integer graph, and gives the same bits with every build and thread count.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { openModelFile } from "../../src/format/model_file.ts";
import { bytesSource } from "../../src/format/source.ts";
import { writeModelFile } from "../../src/format/write_model.ts";
import { fromFile } from "../../src/evaluate/file_model.ts";
import { float64 } from "../../src/graph/executor.ts";
import { newSequence } from "../../src/graph/runner.ts";
import { runText } from "../../src/graph/run.ts";
import { referenceKernels } from "../../src/kernels/reference/mod.ts";
import { emit } from "../../src/quantize/emit.ts";
import type { Quantized } from "../../src/quantize/quantize.ts";
import { RECIPES } from "../../src/quantize/recipe.ts";
import { simulate } from "../../src/quantize/simulate.ts";
import { Engine } from "../../src/execute/engine.ts";
import type { EngineOptions } from "../../src/execute/options.ts";
import { RuntimeError } from "../../src/graph/error.ts";
import { readStaticModel } from "../../src/graph/static_model.ts";
import { openFamily } from "../golden/family.ts";
import { quantizeFamily } from "../golden/quantized.ts";
import { distance } from "./toy_file.ts";

const RECIPE = { ...RECIPES.w4a8, name: "groups", groups: 32 };

function readBack(quantized: Quantized) {
  const path = Deno.makeTempFileSync();
  try {
    writeModelFile(path, emit(quantized, {}));
    return readStaticModel(openModelFile(bytesSource(Deno.readFileSync(path))));
  } finally {
    Deno.removeSync(path);
  }
}

Deno.test("weights in groups: file, runtime and interpreter agree", async () => {
  using family = openFamily("qwen3-toy"); // k 64, 96 and 128
  const quantized = quantizeFamily(family, RECIPE);
  const model = readBack(quantized);
  const linears = model.nodes.filter((n) => n.op === "linear");
  assertEquals(model.groups.size, linears.length - 1); // all but the head
  const again = fromFile(model, RECIPE);
  for (const [name, w] of quantized.weights) {
    assertEquals(again.weights.get(name)!.values, w.values);
    assertEquals(again.weights.get(name)!.groupScale, w.groupScale);
  }
  const { input_ids: ids } = family.longest;
  const said = async (options: EngineOptions) => {
    await using engine = await Engine.create(model, undefined, options);
    return [...await engine.prefill(ids), ...await engine.decode(65)];
  };
  const want = await said({ threads: 1, kernels: referenceKernels });
  for (const build of ["simd", "relaxed"] as const) {
    for (const threads of [1, 3]) {
      assertEquals(await said({ build, threads }), want);
    }
  }
  const { loaded, hooks } = simulate(quantized, float64);
  await using engine = await Engine.create(model, undefined, { threads: 1 });
  const moved: number[] = [];
  for (const ids of [[1, 101], [4, 104], [7, 107]]) {
    engine.reset();
    moved.push(distance(
      await engine.prefill(ids),
      runText(loaded, [{ sequence: newSequence(), ids }], hooks),
    ));
  }
  assert(Math.min(...moved) < 1e-6 && Math.max(...moved) < 0.1, `${moved}`);
});

Deno.test("weights in groups: a scale of 0 or 16 is refused while loading", async () => {
  using family = openFamily("qwen3-toy");
  const quantized = quantizeFamily(family, RECIPE);
  for (const bad of [0, 16]) {
    const weights = new Map(quantized.weights);
    const name = "text.0.q.weight", w = weights.get(name)!;
    const groupScale = w.groupScale!.slice();
    groupScale[3] = bad;
    weights.set(name, { ...w, groupScale });
    const model = readBack({ ...quantized, weights });
    const error = await assertRejects(
      () => Engine.create(model, undefined, { threads: 1 }),
      RuntimeError,
      "from 1 to 15",
    );
    assertEquals(error.code, "values");
  }
});
