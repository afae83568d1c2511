/**
 * A family's toy in conversation: the same bits from every build and thread count, for
 * any split of the prompt and after truncation, and the tokens of the integer graph.
 */
import { assert, assertEquals } from "@std/assert";
import { float64 } from "../../src/graph/executor.ts";
import { argmax } from "../../src/tensor/argmax.ts";
import { type Chunk, runText } from "../../src/graph/run.ts";
import { newSequence } from "../../src/graph/runner.ts";
import { referenceKernels } from "../../src/kernels/reference/mod.ts";
import { simulate } from "../../src/quantize/simulate.ts";
import { Engine } from "../../src/execute/engine.ts";
import type { EngineOptions } from "../../src/execute/options.ts";
import {
  FAMILIES,
  type Family,
  gridsOf,
  type Item,
  look,
  openFamily,
  pixelsOf,
} from "../golden/family.ts";
import { staticFamily } from "./family_file.ts";

const TOKENS = 20;

async function imageRows(engine: Engine, family: Family, item: Item) {
  const rows: number[] = [];
  for (const p of pixelsOf(family, item)) rows.push(...await engine.encode(p));
  return Float32Array.from(rows);
}

/** Greedy tokens, and the logits behind each. */
async function answer(
  engine: Engine,
  first: Float32Array,
): Promise<{ ids: number[]; logits: number[] }> {
  const ids: number[] = [], logits: number[] = [];
  for (let step = first; ids.length < TOKENS;) {
    logits.push(...step);
    ids.push(argmax(step));
    step = await engine.decode(ids.at(-1)!);
  }
  return { ids, logits };
}

for (const name of FAMILIES) {
  Deno.test(`decode ${TOKENS} tokens, the same bits everywhere: ${name}`, async () => {
    using family = openFamily(name);
    const { model, quantized } = staticFamily(family, "w4a8");
    const item = family.longest, pixels = pixelsOf(family, item);
    const ids = item.input_ids, grids = gridsOf(family, pixels);
    const open = (options: EngineOptions) =>
      Engine.create(model, family.plan, options);
    await using reference = await open({
      threads: 1,
      kernels: referenceKernels,
    });
    const rows = await imageRows(reference, family, item);
    const prefill = (
      engine: Engine,
      ids: readonly number[],
      rows: Float32Array,
    ) => engine.prefill(ids, rows, undefined, grids);
    const want = await answer(reference, await prefill(reference, ids, rows));
    assertEquals(want.ids.length, TOKENS);

    for (const build of ["simd", "relaxed"] as const) {
      for (const threads of [1, 3]) {
        await using engine = await open({ threads, build });
        const image = await imageRows(engine, family, item);
        const got = await answer(engine, await prefill(engine, ids, image));
        assertEquals(got, want, `${build}, ${threads} threads`);
      }
    }

    await using engine = await open({ threads: 1 });
    const imageTokenId = family.files.model.info.image?.tokenId;
    const places = ids.filter((id) => id === imageTokenId).length;
    const width = rows.length / (places || 1);
    for (let cut = 1; cut < ids.length; cut += 7) {
      const head = ids.slice(0, cut), tail = ids.slice(cut);
      if (head.at(-1) === imageTokenId) continue; // a prompt ends with text
      const at = head.filter((id) => id === imageTokenId).length * width;
      engine.reset();
      await prefill(engine, head, rows.subarray(0, at));
      const got = await answer(
        engine,
        await prefill(engine, tail, rows.subarray(at)),
      );
      assertEquals(got, want, `cut at ${cut}`);
      const kept = engine.rewind(ids, rows, grids);
      const left = ids.slice(0, kept).filter((id) => id === imageTokenId);
      const again = await answer(
        engine,
        await prefill(
          engine,
          ids.slice(kept),
          rows.subarray(left.length * width),
        ),
      );
      assertEquals(again, want, `rewound to ${kept}`);
    }

    // The integer graph in float64 says the same, but where two logits are near.
    const { loaded, hooks } = simulate(quantized, float64);
    const sequence = newSequence(), { vocabulary } = family.files.model.info;
    let chunk: Pick<Chunk, "ids" | "image"> = {
      ids,
      ...look(family, loaded, pixels, hooks),
    };
    for (let step = 0; step < TOKENS; step++) {
      const logits = runText(loaded, [{ sequence, ...chunk }], hooks);
      const got = want.logits.slice(
        step * vocabulary,
        (step + 1) * vocabulary,
      );
      let noise = 0, signal = 0;
      for (let i = 0; i < vocabulary; i++) {
        noise += (got[i] - logits[i]) ** 2;
        signal += logits[i] ** 2;
      }
      assert(noise < 0.01 * signal, `step ${step}: ${noise / signal}`);
      chunk = { ids: [want.ids[step]] };
    }
  });
}
