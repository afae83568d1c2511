/**
 * Bidirectional image tokens stay in one chunk: a prompt longer than a chunk gives the
 * same bits for any split, and the logits of the integer graph.
 */
import { assert, assertEquals } from "@std/assert";
import { float64 } from "../../src/graph/executor.ts";
import { newSequence } from "../../src/graph/runner.ts";
import { runText } from "../../src/graph/run.ts";
import { imageInfoOf } from "../../src/graph/info.ts";
import { formulaImageOf } from "../formula_image.ts";
import { simulate } from "../../src/quantize/simulate.ts";
import { Engine } from "../../src/execute/engine.ts";
import { CHUNK } from "../../src/plan/plan.ts";
import { openFamily } from "../golden/family.ts";
import { staticFamily } from "./family_file.ts";
import { distance } from "./toy_file.ts";

Deno.test("five images whose tokens see each other, in chunks and in parts", async () => {
  using family = openFamily("moondream-toy");
  const { model, quantized } = staticFamily(family, "w8a8");
  const { tokens, tokenId } = imageInfoOf(model.info);
  await using engine = await Engine.create(model, family.plan, { threads: 1 });
  const kinds = ["waves", "stripes", "waves", "stripes", "waves"];
  const rows: Float32Array[] = [];
  for (const [i, kind] of kinds.entries()) {
    const picture = formulaImageOf(`formula:${kind}:${32}x${32}`);
    picture.data[0] ^= i; // all differ
    rows.push(await engine.encode(picture));
  }
  const image = new Array<number>(tokens).fill(tokenId);
  const head = [...image, 65, 66, 67];
  const tail = [...image, ...image, ...image, 68, ...image, 69, 70];
  const ids = [...head, ...tail];
  assert(ids.length > CHUNK && CHUNK % tokens !== 0);
  const all = Float32Array.from(rows.flatMap((r) => [...r]));
  const want = await engine.prefill(ids, all);
  engine.reset();
  await engine.prefill(head, rows[0]);
  assertEquals(await engine.prefill(tail, all.subarray(rows[0].length)), want);

  const { loaded, hooks } = simulate(quantized, float64);
  const chunk = { sequence: newSequence(), ids, image: Float64Array.from(all) };
  const off = distance(want, runText(loaded, [chunk], hooks));
  assert(off < 0.1, `${off}`);
  // where they saw only those before them, it would be another answer
  const info = { ...loaded.model.info };
  const { bidirectional: _, ...causal } = info.image!;
  const blind = {
    ...loaded,
    model: { ...loaded.model, info: { ...info, image: causal } },
  };
  const other = { ...chunk, sequence: newSequence() };
  assert(distance(want, runText(blind, [other], hooks)) > 2 * off);
});
