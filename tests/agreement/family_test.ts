/** The engine agrees with the integer graph of every family's toy. */
import { assert } from "@std/assert";
import { openModelFile } from "../../src/format/model_file.ts";
import { writeModelFile } from "../../src/format/write_model.ts";
import { bytesSource } from "../../src/format/source.ts";
import { float64 } from "../../src/graph/executor.ts";
import { newSequence } from "../../src/graph/runner.ts";
import { runText } from "../../src/graph/run.ts";
import { emit } from "../../src/quantize/emit.ts";
import { simulate } from "../../src/quantize/simulate.ts";
import { Engine } from "../../src/execute/engine.ts";
import { readStaticModel } from "../../src/graph/static_model.ts";
import {
  FAMILIES,
  gridsOf,
  look,
  openFamily,
  pixelsOf,
} from "../golden/family.ts";
import { quantizeFamily } from "../golden/quantized.ts";
import { distance } from "./toy_file.ts";

/** Prompts so short that rarely a value lies between two values. */
const SHORT = [[1, 101], [4, 104], [7, 107]];

for (const name of FAMILIES) {
  Deno.test(`logits of ${name} are the interpreter's on the integer graph`, async () => {
    using family = openFamily(name);
    const moved: number[] = [];
    for (const recipe of ["w8a8", "w4a8"]) {
      const quantized = quantizeFamily(family, recipe);
      const path = Deno.makeTempFileSync();
      writeModelFile(path, emit(quantized, {}));
      const bytes = Deno.readFileSync(path);
      Deno.removeSync(path);
      using file = openModelFile(bytesSource(bytes));
      await using engine = await Engine.create(
        readStaticModel(file),
        family.plan,
        { threads: 1 },
      );
      const { loaded, hooks } = simulate(quantized, float64);
      for (const item of family.items) {
        const pixels = pixelsOf(family, item), ids = item.input_ids;
        const rows: number[] = [];
        for (const p of pixels) rows.push(...await engine.encode(p));
        engine.reset();
        const got = await engine.prefill(
          ids,
          Float32Array.from(rows),
          undefined,
          gridsOf(family, pixels),
        );
        const chunk = {
          sequence: newSequence(),
          ids,
          ...look(family, loaded, pixels, hooks),
        };
        moved.push(distance(got, runText(loaded, [chunk], hooks)));
      }
      for (const ids of SHORT) {
        engine.reset();
        const sequence = newSequence();
        moved.push(distance(
          await engine.prefill(ids),
          runText(loaded, [{ sequence, ids }], hooks),
        ));
      }
    }
    // as in engine_test.ts: exact where no code lies between two, else a step of one
    assert(Math.max(...moved) < 0.1, `${moved}`);
    assert(
      Math.min(...moved) < 1e-6,
      `no item without a flipped code: ${moved}`,
    );
  });
}
