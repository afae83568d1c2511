/** LFM2-VL: the state of its convolutions, and refused settings. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { float64 } from "../../src/graph/executor.ts";
import { load, runText } from "../../src/graph/run.ts";
import { newSequence } from "../../src/graph/runner.ts";
import type { Model, Node } from "../../src/graph/node.ts";
import { describe } from "../../src/models/mod.ts";
import { withPrefix } from "../../src/quantize/prefix.ts";
import { openFamily } from "../golden/family.ts";
import { realCheckpoint } from "./real.ts";

function largest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((m, v, i) => Math.max(m, Math.abs(v - b[i])), 0);
}

Deno.test("tokens in several chunks are remembered as in one, and each gate and tap counts", () => {
  using family = openFamily("lfm2vl-toy");
  const { model } = family.files;
  const ids = family.items.find((i) => i.name === "text only")!.input_ids;
  const logits = (cuts: readonly number[], model: Model) => {
    const loaded = load(model, float64), sequence = newSequence();
    let from = 0, out;
    for (const to of [...cuts, ids.length]) {
      out = runText(loaded, [{ sequence, ids: ids.slice(from, to) }]);
      from = to;
    }
    return out!;
  };
  const want = logits([], model);
  for (const cuts of [[1], [2, 3, 4], [10, 11], [ids.length - 1]]) {
    assert(largest(want, logits(cuts, model)) < 1e-12, `${cuts}`);
  }
  const without = (change: (n: Node & { op: "causal_conv1d" }) => Node) => ({
    ...model,
    nodes: model.nodes.map((n) => n.op === "causal_conv1d" ? change(n) : n),
  });
  const changed = [
    without(({ inputGate: _, ...n }) => n),
    without(({ outputGate: _, ...n }) => n),
  ];
  for (const model of changed) assert(largest(want, logits([], model)) > 1e-2);
});

Deno.test("which layers attend, by either spelling", () => {
  const now = realCheckpoint("LFM2-VL-450M");
  const { layer_types: _, ...text } = now.config.text_config as object & {
    layer_types: unknown;
  };
  const older = { ...text, full_attn_idxs: [2, 5, 8, 10, 12, 14] };
  const want = describe(now);
  const got = describe({
    ...now,
    config: { ...now.config, text_config: older },
  });
  assertEquals(got.nodes, want.nodes);
  assertEquals(
    want.nodes.filter((n) => n.op === "causal_conv1d").map((n) => n.id),
    [0, 1, 3, 4, 6, 7, 9, 11, 13, 15].map((i) => `text.${i}.conv`),
  );
  const down = want.nodes.find((n) => n.id === "text.0.down");
  assert(down?.op === "linear");
  assertEquals(down.k, 4608);
});

Deno.test("sink tokens are refused where a convolution would have to know them", () => {
  using family = openFamily("lfm2vl-toy");
  const loaded = load(family.files.model, float64);
  assertThrows(() => withPrefix(loaded, [1]), RangeError, "without prefix");
});
