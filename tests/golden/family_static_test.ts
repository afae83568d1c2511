/**
 * Every family's toy quantizes, and the integer graph stays near the float model:
 * close with weights of 8 bits, less close with 4.
 */
import { assert } from "@std/assert";
import { load, runText } from "../../src/graph/run.ts";
import { newSequence } from "../../src/graph/runner.ts";
import { float32Engine } from "../../src/float/engine.ts";
import { simulate } from "../../src/quantize/simulate.ts";
import { FAMILIES, look, openFamily, pixelsOf } from "./family.ts";
import { quantizeFamily } from "./quantized.ts";

for (const name of FAMILIES) {
  Deno.test(`quantized: ${name}`, () => {
    using family = openFamily(name);
    const engine = float32Engine(), losses: number[] = [];
    for (const recipe of ["w8a8", "w4a8"]) {
      const { loaded, hooks } = simulate(
        quantizeFamily(family, recipe),
        engine,
      );
      const exact = load(family.files.model, engine);
      let noise = 0, signal = 0;
      for (const item of family.items) {
        const pixels = pixelsOf(family, item), ids = item.input_ids;
        const want = runText(exact, [
          { sequence: newSequence(), ids, ...look(family, exact, pixels) },
        ]);
        const got = runText(loaded, [
          {
            sequence: newSequence(),
            ids,
            ...look(family, loaded, pixels, hooks),
          },
        ], hooks);
        for (let i = 0; i < want.length; i++) {
          signal += want[i] ** 2;
          noise += (want[i] - got[i]) ** 2;
        }
      }
      losses.push(Math.sqrt(noise / signal));
    }
    const [eight, four] = losses;
    assert(eight < 0.1, `w8a8 is off by ${eight}`);
    assert(four < 0.6 && four > eight, `w4a8 is off by ${four}`);
  });
}
