/**
 * Scaled rotary embeddings: their frequencies, golden logits of transformers, and the
 * longest conversation.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { openCheckpoint } from "../../src/format/checkpoint.ts";
import { floatTensor } from "../../src/format/safetensors.ts";
import { float32Engine } from "../../src/float/engine.ts";
import { float64 } from "../../src/graph/executor.ts";
import type { AttentionNode, Model } from "../../src/graph/node.ts";
import { load, runText } from "../../src/graph/run.ts";
import { newSequence } from "../../src/graph/runner.ts";
import { Engine } from "../../src/execute/engine.ts";
import { describe } from "../../src/models/mod.ts";
import { simulate } from "../../src/quantize/simulate.ts";
import { distance } from "../agreement/toy_file.ts";
import { staticFamily } from "../agreement/family_file.ts";
import { openFamily } from "../golden/family.ts";
import { realCheckpoint } from "./real.ts";

interface Item {
  readonly name: string;
  readonly rope_parameters: Record<string, unknown>;
  readonly inv_freq: number[];
  readonly attention_factor: number;
  readonly input_ids: number[];
  readonly steps: { ids: number[]; logits: number[] }[];
}

const GOLDEN = new URL("../golden/", import.meta.url);
const { items }: { items: Item[] } = JSON.parse(
  Deno.readTextFileSync(new URL("rope.json", GOLDEN)),
);
const FOLDER = new URL("llama-toy/", GOLDEN).pathname;
const CONFIG = JSON.parse(Deno.readTextFileSync(`${FOLDER}config.json`));

/** The toy decoder with other settings. */
function toyWith(fields: Record<string, unknown>): Model {
  using file = openCheckpoint(FOLDER);
  const tensors = new Map(
    [...file.tensors].map(([name, stored]) => {
      const { shape, read } = floatTensor(stored), values = read();
      return [name, { shape, read: () => values.slice() }];
    }),
  );
  return describe({ config: { ...CONFIG, ...fields }, tensors });
}

const turning = ({ nodes }: Pick<Model, "nodes">) =>
  nodes.find((n): n is AttentionNode =>
    n.op === "attention" && n.phase === "text"
  )!;

/** Angle per position of each pair of a node, from its fields. */
function angles(node: AttentionNode): number[] {
  const { ropeTheta, headDim, ropeScalingFactor = 1, ropeFactors } = node;
  return Array.from(
    { length: headDim / 2 },
    (_, i) =>
      ropeTheta! ** (-2 * i / headDim) / ropeScalingFactor /
      (ropeFactors?.[i] ?? 1),
  );
}

for (const item of items) {
  Deno.test(`rope_parameters: ${item.name}`, () => {
    const model = toyWith({ rope_parameters: item.rope_parameters });
    const node = turning(model);
    for (const [i, angle] of angles(node).entries()) {
      const off = Math.abs(angle / item.inv_freq[i] - 1);
      assert(off < 1e-6, `pair ${i} is off by ${off}`); // float32 there
    }
    assert(
      Math.abs((node.ropeAttentionFactor ?? 1) - item.attention_factor) < 1e-12,
    );
    const loaded = load(model, float32Engine()), sequence = newSequence();
    let ids = item.input_ids;
    for (const step of item.steps) {
      const logits = runText(loaded, [{ sequence, ids }]);
      const spread = Math.max(...step.logits.map(Math.abs));
      for (const [j, id] of step.ids.entries()) {
        assert(Math.abs(logits[id] - step.logits[j]) < 2e-4 * spread);
      }
      ids = [step.ids[0]];
    }
    // The layout of transformers 4 says the same.
    const { rope_theta, ...rope_scaling } = item.rope_parameters;
    const older = { rope_parameters: undefined, rope_theta, rope_scaling };
    assertEquals(toyWith(older).nodes, model.nodes);
    const { rope_type, ...named } = rope_scaling;
    assertEquals(
      toyWith({ ...older, rope_scaling: { ...named, type: rope_type } }).nodes,
      model.nodes,
    );
    // So does a dictionary by type of layer.
    const rope_parameters = { full_attention: item.rope_parameters };
    assertEquals(toyWith({ rope_parameters }).nodes, model.nodes);
  });
}

Deno.test("kernels turn by scaled angles as the interpreter does", async () => {
  using family = openFamily("llama-toy");
  for (const name of ["llama3", "yarn, all settings", "longrope"]) {
    const item = items.find((i) => i.name === name)!;
    const model = toyWith({ rope_parameters: item.rope_parameters });
    const scaled = { ...family, files: { ...family.files, model } };
    const { quantized, model: written } = staticFamily(scaled, "w8a8");
    assertEquals(turning(written).ropeFactors, turning(model).ropeFactors);
    await using engine = await Engine.create(written, undefined, {
      threads: 1,
    });
    const { loaded, hooks } = simulate(quantized, float64);
    const prompts = [item.input_ids, [1, 101], [4, 104], [7, 107]];
    const moved: number[] = [];
    for (const ids of prompts) {
      engine.reset();
      const want = runText(loaded, [{ sequence: newSequence(), ids }], hooks);
      moved.push(distance(await engine.prefill(ids), want));
    }
    assert(Math.max(...moved) < 0.1, `${moved}`);
    assert(Math.min(...moved) < 1e-6, `${moved}`);
  }
});

Deno.test("M-RoPE and YaRN together, as long documents of Qwen2.5-VL ask for", () => {
  const now = realCheckpoint("Qwen2.5-VL-3B");
  const of = (more: object) => {
    const { text_config } = now.config as { text_config?: object };
    const rope_scaling = { mrope_section: [16, 24, 24], ...more };
    const config = text_config
      ? {
        ...now.config,
        text_config: { ...text_config, rope_parameters: null, rope_scaling },
      }
      : { ...now.config, rope_parameters: null, rope_scaling };
    return describe({ ...now, config });
  };
  const plain = turning(of({ type: "mrope" }));
  const long = of({
    type: "yarn",
    factor: 4,
    original_max_position_embeddings: 32768,
  });
  const { ropeFactors, ropeAttentionFactor, ...rest } = turning(long);
  assertEquals(rest, plain);
  assertEquals(ropeFactors!.length, 64);
  assertEquals([ropeFactors![0], ropeFactors![63]], [1, 4]);
  assert(Math.abs(ropeAttentionFactor! - (0.1 * Math.log(4) + 1)) < 1e-12);
});

Deno.test("a conversation ends where tables would change", () => {
  const most = (fields: Record<string, unknown>) =>
    toyWith(fields).info.maxPositions;
  const settings = (name: string) =>
    items.find((i) => i.name === name)!.rope_parameters;
  const of = (name: string) => most({ rope_parameters: settings(name) });
  assertEquals(of("dynamic"), 256); // the trained length
  assertEquals(of("longrope"), 128); // its short list ends here
  assertEquals(of("longrope, one list"), 256);
  assertEquals(of("yarn"), 256); // 4 × 64
  assertEquals(of("yarn, all settings"), 2560);
  // Phi-3 keeps the trained length beside the settings.
  assertEquals(
    most({
      original_max_position_embeddings: 64,
      rope_parameters: settings("longrope"),
    }),
    64,
  );
});

Deno.test("settings that cannot be built are refused by name", () => {
  for (
    const [rope_parameters, cause] of [
      [{ rope_type: "spiral" }, "rope_type"],
      [{ rope_type: "linear" }, "factor"],
      [{ rope_type: "linear", factor: 0 }, "factor"],
      [{ rope_type: "llama3", factor: 8 }, "low_freq_factor"],
      [{ rope_type: "longrope", short_factor: [1, 2] }, "short_factor"],
      [{ rope_type: "longrope", short_factor: [1, 2, -3, 4] }, "short_factor"],
      [{ rope_type: "default", partial_rotary_factor: 0.5 }, "partial_rotary"],
    ] as const
  ) {
    assertThrows(() => toyWith({ rope_parameters }), RangeError, cause);
  }
});

Deno.test("numbers that are written as texts are numbers", () => {
  const want = toyWith({});
  const got = toyWith({
    rms_norm_eps: "1e-05",
    rope_parameters: { rope_type: "default", rope_theta: "1e5" },
  });
  assertEquals([got.nodes, got.info], [want.nodes, want.info]);
  for (const rms_norm_eps of ["", "eps", "0x10", "1e999"]) {
    assertThrows(() => toyWith({ rms_norm_eps }), RangeError, "rms_norm_eps");
  }
});
