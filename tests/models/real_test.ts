/** Real sizes: every tensor is used, the passes apply, and the plan fits. */
import { assert, assertEquals } from "@std/assert";
import { planFor } from "../../src/execute/options.ts";
import { unquantized } from "../../src/plan/unquantized.ts";
import { parametersOf, REAL, realCheckpoint, transformed } from "./real.ts";

const PIXELS = { rescale: 1 / 255, mean: [0, 0, 0], std: [1, 1, 1] } as const;

/** Millions of parameters as the hub counts them; models above one wasm memory. */
const KNOWN: Record<string, number> = {
  "SmolVLM-256M": 256.48,
  "SmolVLM-500M": 507.48,
  "Granite-Docling-258M": 258,
  "LFM2.5-VL-1.6B": 1600,
  "InternVL3-1B": 938.19,
  "Qwen2-VL-2B": 2208.99,
  "Qwen2.5-VL-3B": 3754.6,
  "Qwen3-VL-2B": 2127.5,
  "LLaVA-1.5-7B": 7063.4,
  "Qwen-VL-Chat": 9655.9,
  "MiniCPM-V-2.6": 8099.2,
  "GLM-4V-9B": 13906,
  "InternVL2-2B": 2205.8,
  "InternVL2-8B": 8075.4,
  "CogVLM2-19B": 19529,
  "moondream2": 1867,
};
const TOO_LARGE = [
  "JoyCaption",
  "InternVL3-8B",
  "Qwen2-VL-7B",
  "Qwen-VL-Chat",
  "MiniCPM-V-2.6",
  "GLM-4V-9B",
  "InternVL2-8B",
  "Qwen2.5-VL-7B",
  "CogVLM2-19B",
];

for (const name of REAL) {
  Deno.test(`${name}: described, transformed and planned`, () => {
    const model = transformed(name);
    const known = KNOWN[name];
    if (known !== undefined) {
      const millions = parametersOf(realCheckpoint(name)) / 1e6;
      assert(Math.abs(millions - known) < 0.01 * known, `${millions} M`);
    }
    const { context, memories } = planFor(unquantized(model), PIXELS, {
      threads: 4,
      context: 2048,
    });
    assertEquals(context, 2048);
    assertEquals(memories.length > 1, TOO_LARGE.includes(name));
    assert(memories.every(({ bytes }) => bytes <= 2 ** 32));
  });
}
