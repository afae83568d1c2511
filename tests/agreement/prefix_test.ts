/**
 * Prefix tokens: the engine, which reads their keys and values from the file, agrees
 * with the interpreter on the integer graph, with the same bits from every build and
 * thread count, also after truncation.
 */
import { assert, assertEquals } from "@std/assert";
import { openModelFile } from "../../src/format/model_file.ts";
import { bytesSource } from "../../src/format/source.ts";
import { writeModelFile } from "../../src/format/write_model.ts";
import { float64 } from "../../src/graph/executor.ts";
import { load, runText } from "../../src/graph/run.ts";
import { newSequence } from "../../src/graph/runner.ts";
import { referenceKernels } from "../../src/kernels/reference/mod.ts";
import { emit } from "../../src/quantize/emit.ts";
import type { Quantized } from "../../src/quantize/quantize.ts";
import { fromFile } from "../../src/evaluate/file_model.ts";
import { findPrefix } from "../../src/quantize/prefix.ts";
import { RECIPES } from "../../src/quantize/recipe.ts";
import { simulate } from "../../src/quantize/simulate.ts";
import { Engine } from "../../src/execute/engine.ts";
import type { EngineOptions } from "../../src/execute/options.ts";
import { readStaticModel } from "../../src/graph/static_model.ts";
import { type Family, openFamily, pixelsOf } from "../golden/family.ts";
import { quantizeFamily } from "../golden/quantized.ts";
import { distance } from "./toy_file.ts";

const PREFIX = [17, 5, 40];

/** Prompts so short that rarely a value lies between two values. */
const SHORT = [[1, 101], [4, 104], [7, 107]];

function staticModel(family: Family, quantized: Quantized) {
  const path = Deno.makeTempFileSync();
  try {
    writeModelFile(path, emit(quantized, family.files.assets));
    return readStaticModel(openModelFile(bytesSource(Deno.readFileSync(path))));
  } finally {
    Deno.removeSync(path);
  }
}

for (const name of ["qwen2-toy", "qwen2vl-toy"]) {
  Deno.test(`tokens in front of every conversation: ${name}`, async () => {
    using family = openFamily(name);
    const recipe = { ...RECIPES.w8a8, name: "prefix", prefix: PREFIX };
    const quantized = quantizeFamily(family, recipe);
    const model = staticModel(family, quantized);
    assertEquals(model.info.prefix, PREFIX);
    assertEquals(fromFile(model, recipe).prefix, quantized.prefix);
    const { input_ids: ids } = family.longest;
    const pixels = pixelsOf(family, family.longest);
    const said = async (options: EngineOptions, again = false) => {
      await using engine = await Engine.create(model, family.plan, options);
      const rows: number[] = [];
      for (const p of pixels) rows.push(...await engine.encode(p));
      const images = Float32Array.from(rows), out: number[] = [];
      out.push(...await engine.prefill(ids, images));
      for (const id of [65, 66]) out.push(...await engine.decode(id));
      if (!again) return out;
      engine.reset();
      assertEquals(engine.length, PREFIX.length);
      assertEquals(engine.context, engine.plan.context - PREFIX.length);
      await engine.prefill([7, 8, 9]);
      engine.reset();
      const kept: number[] = [...await engine.prefill(ids, images)];
      assertEquals(engine.rewind(ids, images), ids.length - 1);
      const last = await engine.prefill(ids.slice(-1));
      assertEquals([...last], kept);
      return out;
    };
    const want = await said({ threads: 1, kernels: referenceKernels });
    for (const build of ["simd", "relaxed"] as const) {
      for (const threads of [1, 3]) {
        assertEquals(await said({ build, threads }, threads === 1), want);
      }
    }
    // As the interpreter on the integer graph: exact where no code lies between two.
    const { loaded, hooks } = simulate(quantized, float64);
    const { prefix: _, ...bare } = loaded;
    await using engine = await Engine.create(model, family.plan, {
      threads: 1,
    });
    const moved: number[] = [], missing: number[] = [];
    for (const ids of SHORT) {
      engine.reset();
      const got = await engine.prefill(ids);
      const said = (l: typeof loaded) =>
        runText(l, [{ sequence: newSequence(), ids }], hooks);
      moved.push(distance(got, said(loaded)));
      missing.push(distance(got, said(bare)));
    }
    assert(Math.min(...moved) < 1e-6, `${moved}`);
    assert(Math.max(...moved) < 0.1, `${moved}`);
    assert(Math.min(...missing) > 0.1, `without the prefix: ${missing}`);
  });
}

Deno.test("findPrefix: the token whose activations tower is found, and put first", () => {
  using family = openFamily("llama-toy");
  const { model } = family.files, { params } = model;
  const SINK = 70, changed = new Map(params);
  const edit = (name: string, f: (w: Float64Array, k: number) => void) => {
    const t = params.get(name)!;
    const read = () => {
      const w = t.read();
      f(w, t.shape[1]);
      return w;
    };
    changed.set(name, { shape: t.shape, read });
  };
  edit("text.embed.weight", (w, k) => {
    w.fill(0, SINK * k, (SINK + 1) * k);
    w[SINK * k] = 40; // all of its norm in channel 0 …
  });
  for (const part of ["gate", "up"]) {
    edit(`text.0.${part}.weight`, (w) => void (w[0] = 40)); // … and a neuron that listens to it
  }
  const texts = [[3, 4, 5, SINK, 6, 7, 8], [9, SINK, 10, 11, 12]]
    .map((ids) => ({ ids, answer: [13, 14, 15] }));
  const quiet = findPrefix(load(model, float64), texts, 2);
  assert(!quiet.includes(SINK));
  assertEquals(
    findPrefix(load({ ...model, params: changed }, float64), texts, 1),
    [SINK],
  );
  assertEquals(findPrefix(load(model, float64), texts, [1, 2]), [1, 2]);
});
