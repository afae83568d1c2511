/**
 * The float interpreter against golden values of transformers, per family: token ids
 * and resized bytes are equal, tower, connector and logits within 2e-4.
 */
import { assert, assertEquals } from "@std/assert";
import { load, runText } from "../../src/graph/run.ts";
import { newSequence } from "../../src/graph/runner.ts";
import { float32Engine } from "../../src/float/engine.ts";
import {
  FAMILIES,
  type Family,
  idsOf,
  type Item,
  look,
  off,
  openFamily,
  pixelsOf,
  sha256,
} from "./family.ts";

const CLOSE = 2e-4;

/** The connector's first linear. */
const FIRST = /^connector(\.(up|kv|conv))?$/;

for (const name of FAMILIES) {
  Deno.test(`golden: ${name}`, async (t) => {
    using family = openFamily(name);
    for (const item of family.items) {
      await t.step(item.name, () => check(family, item));
    }
  });
}

function check(family: Family, item: Item) {
  const { model } = family.files, loaded = load(model, float32Engine());
  assertEquals(idsOf(family, item), [...item.input_ids]);
  const pixels = pixelsOf(family, item);
  assertEquals(pixels.map((p) => sha256(p.data)), item.pixels_sha256 ?? []);
  let seen: ArrayLike<number> | undefined;
  const seenAs = look(family, loaded, pixels, {
    input: (node, x) => (FIRST.test(node.id) ? (seen ??= x, x) : x),
  });
  if ("image" in seenAs) {
    const vision = off(seen!, item.vision!);
    assert(vision < CLOSE, `vision is off by ${vision}`);
    const connector = off(seenAs.image, item.connector!);
    assert(connector < CLOSE, `connector is off by ${connector}`);
  }
  const sequence = newSequence();
  let ids: readonly number[] = item.input_ids;
  for (const [i, step] of item.steps.entries()) {
    const logits = runText(loaded, [
      i === 0 ? { sequence, ids, ...seenAs } : { sequence, ids },
    ]);
    const spread = Math.max(...step.logits.map(Math.abs));
    const error = Math.max(
      ...step.ids.map((id, j) => Math.abs(logits[id] - step.logits[j])),
    );
    assert(error < CLOSE * spread, `step ${i}: logits are off by ${error}`);
    ids = [step.ids[0]];
  }
}
