/**
 * The recipe's passes change no logit of any family's toy. The families cover special
 * cases: class tokens, LayerScale, a stream whose mean is used.
 */
import { assert } from "@std/assert";
import { float64 } from "../../src/graph/executor.ts";
import { load, runText } from "../../src/graph/run.ts";
import { newSequence } from "../../src/graph/runner.ts";
import type { Model } from "../../src/graph/node.ts";
import { RECIPES } from "../../src/quantize/recipe.ts";
import { suppress } from "../../src/quantize/suppress.ts";
import {
  FAMILIES,
  type Family,
  look,
  openFamily,
  pixelsOf,
} from "../golden/family.ts";

/** Logits of the longest prompt and of one more token. */
function logits(family: Family, model: Model): number[] {
  const item = family.longest;
  const loaded = load(model, float64), sequence = newSequence();
  const seen = look(family, loaded, pixelsOf(family, item));
  const out = [
    ...runText(loaded, [{ sequence, ids: item.input_ids, ...seen }]),
  ];
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
        n.op !== "norm" || n.kind === "rms" ||
          /^(connector|deep\.\d+)$/.test(n.stream),
        `${n.id} is still a LayerNorm`,
      );
    }
  });
}

Deno.test("the check can fail: a mean that somebody reads may not be lost", () => {
  using family = openFamily("internvl-toy");
  const folded = RECIPES.w4a8.passes.slice(0, 3)
    .reduce((m, pass) => pass.apply(m), family.files.model);
  const before = logits(family, folded);
  const scale = Math.max(...before.map(Math.abs));
  const kept = (model: Model) =>
    Math.max(
      ...logits(family, model).map((v, i) => Math.abs(v - before[i])),
    ) / scale;
  // RMSNorm over a stream that still has its mean
  const read: Model = {
    ...folded,
    nodes: folded.nodes.map((n) =>
      n.op === "norm" && n.stream === "vision" ? { ...n, kind: "rms" } : n
    ),
  };
  assert(kept(read) > 1e-3);
  // and a connector that no longer sees the mean
  const rotated = RECIPES.w4a8.passes[3].apply(folded);
  assert(kept(rotated) < 1e-9);
  const name = "vision.read.gain.weight", gain = rotated.params.get(name)!;
  const lost: Model = {
    ...rotated,
    params: new Map(rotated.params).set(name, {
      ...gain,
      read: () => gain.read().fill(0, 0, 1),
    }),
  };
  assert(kept(lost) > 1e-6);
});

Deno.test("the check can fail: a norm behind a sub-layer must turn with its stream", () => {
  using family = openFamily("glm4v-toy");
  const passes = RECIPES.w4a8.passes.slice(0, 4); // to the streams' rotation
  const ready = passes.reduce((m, pass) => pass.apply(m), family.files.model);
  const before = logits(family, ready), turn = "vision.1.norm2.rotate";
  const scale = Math.max(...before.map(Math.abs));
  assert(ready.nodes.some((n) => n.id === turn));
  const nodes = ready.nodes.filter((n) => n.id !== turn)
    .map((n) =>
      n.op === "residual_add" && n.x === turn
        ? { ...n, x: "vision.1.norm2" }
        : n
    );
  const after = logits(family, { ...ready, nodes });
  assert(before.some((v, i) => Math.abs(v - after[i]) > 1e-2 * scale));
});

Deno.test("the check can fail: a norm in front of a tower brings a mean in", () => {
  using family = openFamily("qwenvl-toy");
  const passes = RECIPES.w4a8.passes.slice(0, 4); // to the streams' rotation
  const ready = passes.reduce((m, pass) => pass.apply(m), family.files.model);
  const before = logits(family, family.files.model);
  const scale = Math.max(...before.map(Math.abs));
  const change = (nodes: Model["nodes"]) =>
    Math.max(
      ...logits(family, { ...ready, nodes }).map((v, i) =>
        Math.abs(v - before[i])
      ),
    ) / scale;
  assert(change(ready.nodes) < 1e-9);
  // the norm's mean felt by the tower's norms, or lost to the resampler
  const without = (gain: string) => {
    const { x } = ready.nodes.find((n) => n.id === gain) as { x: string };
    return ready.nodes.filter((n) => n.id !== gain)
      .map((n) => "x" in n && n.x === gain ? { ...n, x } : n);
  };
  assert(change(without("vision.pre.gain")) > 1e-3);
  assert(change(without("vision.read.gain")) > 1e-6);
});
