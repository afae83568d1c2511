/**
 * Every pass that preserves the function changes no logit; without one of its steps it
 * does, so the test can fail.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { float64 } from "../../src/graph/executor.ts";
import { load, runText, runVision } from "../../src/graph/run.ts";
import { newSequence } from "../../src/graph/runner.ts";
import type { Model } from "../../src/graph/node.ts";
import { centerWriters } from "../../src/quantize/center_writers.ts";
import { foldNorms } from "../../src/quantize/fold_norms.ts";
import type { Pass } from "../../src/quantize/pass.ts";
import {
  rotateOnline,
  rotateStreams,
  rotateValues,
} from "../../src/quantize/rotate.ts";
import { channelZeroRatio, suppress } from "../../src/quantize/suppress.ts";
import { paddedWidth, padFfn } from "../../src/quantize/pad_ffn.ts";
import { TOY_PROMPT, toyModel, toyPatches } from "../toy.ts";

/** Logits after the prompt and after two more tokens. */
function logits(model: Model): number[] {
  const loaded = load(model, float64);
  const image = runVision(loaded, toyPatches());
  const sequence = newSequence(), out: number[] = [];
  out.push(...runText(loaded, [{ sequence, ids: TOY_PROMPT, image }]));
  for (const id of [17, 40]) {
    out.push(...runText(loaded, [{ sequence, ids: [id] }]));
  }
  return out;
}

/** Largest change of a logit, as a share of the largest logit. */
function moved(before: number[], after: number[]): number {
  const scale = Math.max(...before.map(Math.abs));
  return Math.max(...before.map((v, i) => Math.abs(v - after[i]))) / scale;
}

const PASSES: Pass[] = [
  centerWriters,
  foldNorms,
  rotateStreams(42),
  rotateValues(42),
  rotateOnline(42),
  suppress({ trigger: 0 }),
];

for (const tied of [true, false]) {
  Deno.test(`passes keep the logits, one after the other (${tied ? "tied" : "untied"} head)`, () => {
    let model = toyModel({ tied });
    const before = logits(model);
    for (const pass of PASSES) {
      model = pass.apply(model);
      const change = moved(before, logits(model));
      assert(change < 1e-9, `${pass.name} moved the logits by ${change}`);
    }
    assertEquals(
      model.nodes.some((n) => n.op === "linear" && n.floatChannel0),
      true,
    );
  });
}

Deno.test("each rotation alone keeps the logits", () => {
  const before = logits(toyModel());
  for (
    const pass of [
      rotateValues(1),
      rotateOnline(1),
      rotateOnline(1, { signs: false }),
    ]
  ) {
    const change = moved(before, logits(pass.apply(toyModel())));
    assert(change < 1e-9, `${pass.name} moved the logits by ${change}`);
  }
});

Deno.test("pad_ffn: neurons that are always 0 move no logit, and let a hidden layer be rotated whole", () => {
  const model = toyModel({ hidden: 68 }), before = logits(model);
  const downs = (m: Model) => m.nodes.filter((n) => /^text.*down$/.test(n.id));
  const wide = padFfn({ most: 1.3 }).apply(model);
  const turned = rotateOnline(42).apply(wide);
  for (const changed of [wide, turned]) {
    assert(moved(before, logits(changed)) < 1e-9);
    for (const n of downs(changed)) assert(n.op === "linear" && n.k === 80);
  }
  const rotations = (m: Model) =>
    m.nodes.flatMap((n) => n.op === "hadamard" ? [n.rotation] : [])
      .filter((r) => r.n === 68 || r.n === 80);
  assert(rotations(turned).length > 0);
  for (const r of rotations(turned)) assertEquals(r.block, 80);
  for (const r of rotations(rotateOnline(42).apply(model))) {
    assert(r.block < 68);
  }
  assertEquals(padFfn().apply(model).nodes, model.nodes, "18 % is too much");
});

Deno.test("paddedWidth: only what falls into short blocks is padded", () => {
  const widths = [1536, 4864, 8960, 18944, 4304, 3420];
  assertEquals(
    widths.map((n) => paddedWidth(n, 1.1)),
    [1536, 4864, 8960, 18944, 4480, 3456],
  );
});

Deno.test("the check can fail: a weight rotated without its partner moves the logits", () => {
  const model = toyModel(), before = logits(model);
  const half = rotateOnline(42).apply(model);
  const broken: Model = { ...half, params: model.params };
  assert(moved(before, logits(broken)) > 1e-2);
  const uncentered: Model = {
    ...model,
    nodes: model.nodes.map((
      n,
    ) => (n.op === "norm" ? { ...n, kind: "rms" } : n)),
  };
  assert(moved(before, logits(uncentered)) > 1e-2);
});

Deno.test("rotateStreams refuses a stream whose norms were not folded", () => {
  try {
    rotateStreams(1).apply(toyModel());
  } catch (e) {
    assert(
      e instanceof RangeError &&
        e.message.includes("fold-norms must come first"),
    );
    return;
  }
  throw new Error("expected a refusal");
});

Deno.test("channelZeroRatio: above 1 where rows have a mean, below where they do not", () => {
  const k = 64,
    rows = 8,
    w = new Float64Array(rows * k).map((_, i) => Math.sin(i * 1.7) * 0.1);
  assert(channelZeroRatio(w, rows, k) <= 1.1);
  for (let r = 0; r < rows; r++) w[r * k] = 5;
  assert(channelZeroRatio(w, rows, k) > 10);
});
