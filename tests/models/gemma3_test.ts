/**
 * Gemma 3: both layouts of its config, refused settings, and the effect of sliding
 * windows.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { float64 } from "../../src/graph/executor.ts";
import { load, runText } from "../../src/graph/run.ts";
import { newSequence } from "../../src/graph/runner.ts";
import type { AttentionNode, Model } from "../../src/graph/node.ts";
import { describe } from "../../src/models/mod.ts";
import { openFamily } from "../golden/family.ts";
import { realCheckpoint } from "./real.ts";

const attends = ({ nodes }: Model) =>
  nodes.filter((n): n is AttentionNode =>
    n.op === "attention" && n.phase === "text"
  );

Deno.test("an older config.json says the same", () => {
  const now = realCheckpoint("Gemma-3-4B");
  const { rope_parameters: _, layer_types: __, ...text } = now.config
    .text_config as Record<string, unknown>;
  const older = {
    ...now.config,
    text_config: { ...text, rope_scaling: { factor: 8, rope_type: "linear" } },
  };
  const want = describe(now);
  assertEquals(describe({ ...now, config: older }).nodes, want.nodes);
  const kinds = attends(want).map((
    { slidingWindow: reach, ropeTheta: theta, ropeScalingFactor: stretch },
  ) => `${reach} ${theta} ${stretch}`);
  assertEquals(kinds.slice(0, 6), [
    ...Array(5).fill("1024 10000 undefined"),
    "undefined 1000000 8",
  ]);
});

Deno.test("what is not built is refused by name", () => {
  const now = realCheckpoint("Gemma-3-4B");
  for (
    const [key, value] of [
      ["final_logit_softcapping", 30],
      ["attn_logit_softcapping", 50],
      ["use_bidirectional_attention", true],
    ] as const
  ) {
    const text_config = { ...now.config.text_config as object, [key]: value };
    const config = { ...now.config, text_config };
    assertThrows(() => describe({ ...now, config }), RangeError, key);
  }
});

Deno.test("a window and a stretch move the logits", () => {
  using family = openFamily("gemma3-toy");
  const { model } = family.files;
  const ids = family.items.find((i) => i.name === "text only")!.input_ids;
  const logits = (without?: "slidingWindow" | "ropeScalingFactor") => {
    const nodes = model.nodes.map((n) => {
      if (n.op !== "attention" || !without) return n;
      const { [without]: _, ...rest } = n;
      return rest;
    });
    const loaded = load({ ...model, nodes }, float64);
    return runText(loaded, [{ sequence: newSequence(), ids }]);
  };
  const want = logits();
  const far = (got: ArrayLike<number>) =>
    Math.max(...want.map((v, i) => Math.abs(v - got[i])));
  assert(far(logits("slidingWindow")) > 1e-2);
  assert(far(logits("ropeScalingFactor")) > 1e-4);
});
