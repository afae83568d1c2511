/**
 * The recipe's passes move no logit of any family's toy, though each family
 * brings what others lack: class tokens, LayerScale, a mean that somebody reads.
 */
import { assert } from "@std/assert";
import { float64 } from "../../src/graph/executor.ts";
import {
  load,
  newSequence,
  runText,
  runVision,
} from "../../src/graph/interpreter.ts";
import type { Model } from "../../src/graph/node.ts";
import { RECIPES } from "../../src/quantize/recipe.ts";
import { suppress } from "../../src/quantize/suppress.ts";
import {
  FAMILIES,
  type Family,
  openFamily,
  patches,
  pixelsOf,
} from "../golden/family.ts";

/** Logits of the two-image prompt and of one more token. */
function logits(family: Family, model: Model): number[] {
  const item = family.items.find((i) => i.name === "two images")!;
  const loaded = load(model, float64);
  const pixels = Float64Array.from(patches(family, pixelsOf(family, item)));
  const image = runVision(loaded, pixels);
  const sequence = newSequence();
  const out = [...runText(loaded, [{ sequence, ids: item.input_ids, image }])];
  out.push(...runText(loaded, [{ sequence, ids: [item.steps[0].ids[0]] }]));
  return out;
}

for (const name of FAMILIES) {
  Deno.test(`passes keep the logits: ${name}`, () => {
    using family = openFamily(name);
    let { model } = family.files;
    const before = logits(family, model);
    const scale = Math.max(...before.map(Math.abs));
    for (const pass of [...RECIPES.w4a8.passes, suppress({ trigger: 0 })]) {
      model = pass.apply(model);
      const after = logits(family, model);
      const change = Math.max(
        ...before.map((v, i) => Math.abs(v - after[i])),
      ) / scale;
      assert(change < 1e-9, `${pass.name} moved the logits by ${change}`);
    }
    for (const n of model.nodes) {
      assert(
        n.op !== "read" || n.norm === "rms" ||
          /^(connector|deep\.\d+)$/.test(n.stream),
        `${n.id} is still a LayerNorm`,
      );
    }
  });
}
