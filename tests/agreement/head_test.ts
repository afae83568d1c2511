/**
 * A head of 4 to 6 bits, tied to the embedding: the engine agrees with the interpreter
 * on the integer graph, and gives the same bits with every build and thread count.
 */
import { assert, assertEquals } from "@std/assert";
import { float64 } from "../../src/graph/executor.ts";
import { newSequence } from "../../src/graph/runner.ts";
import { runText } from "../../src/graph/run.ts";
import { logitsOf } from "../../src/graph/node.ts";
import { referenceKernels } from "../../src/kernels/reference/mod.ts";
import { RECIPES } from "../../src/quantize/recipe.ts";
import { simulate } from "../../src/quantize/simulate.ts";
import { Engine } from "../../src/execute/engine.ts";
import type { EngineOptions } from "../../src/execute/options.ts";
import { openFamily } from "../golden/family.ts";
import { staticFamily } from "./family_file.ts";
import { distance } from "./toy_file.ts";

for (const head of [4, 5, 6]) {
  for (const name of ["llama-toy", "qwen2-toy"]) {
    Deno.test(`${name}, a head of ${head} bits: file, runtime and interpreter agree`, async () => {
      using family = openFamily(name);
      const { w4a8 } = RECIPES, bits = { ...w4a8.bits, head };
      const { quantized, model } = staticFamily(family, { ...w4a8, bits });
      for (const n of model.nodes) {
        if (n.op === "embedding") assertEquals(model.bits.get(n.weight), head);
      }
      assertEquals(model.bits.get(logitsOf(model.nodes).weight), head);
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
      const sequence = newSequence(), prompt = [1, 101];
      await using engine = await Engine.create(model, undefined, {
        threads: 1,
      });
      const moved = distance(
        await engine.prefill(prompt),
        runText(loaded, [{ sequence, ids: prompt }], hooks),
      );
      assert(moved < 0.05, `${moved}`);
    });
  }
}
