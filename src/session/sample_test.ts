import { assert, assertEquals, assertThrows } from "@std/assert";
import { RuntimeError } from "../graph/error.ts";
import { argmax } from "../tensor/argmax.ts";
import { sampler } from "./sample.ts";

const LOGITS = Float32Array.of(1, 3, 2, 3, -5);

Deno.test("greedy takes the first of the largest", () => {
  assertEquals(argmax(LOGITS), 1);
  assertEquals(sampler()(LOGITS), 1);
  assertEquals(sampler({ temperature: 2, topK: 1 })(LOGITS), 1);
});

/** How often each id is drawn, of 4000. */
function shares(options: Parameters<typeof sampler>[0]): number[] {
  const pick = sampler(options), counts = [0, 0, 0, 0, 0];
  for (let i = 0; i < 4000; i++) counts[pick(LOGITS)]++;
  return counts.map((c) => c / 4000);
}

Deno.test("draws follow the softmax of logits over temperature", () => {
  for (const temperature of [0.5, 1, 3]) {
    const e = Array.from(LOGITS, (x) => Math.exp(x / temperature));
    const sum = e.reduce((a, b) => a + b),
      got = shares({ temperature, seed: 5 });
    // 4000 draws: the standard deviation of a share is at most 0.008
    got.forEach((share, i) =>
      assert(Math.abs(share - e[i] / sum) < 0.04, `${temperature} ${i}`)
    );
  }
});

Deno.test("top-k and top-p leave only the likeliest", () => {
  assertEquals(shares({ temperature: 1, topK: 2 }).map((s) => s > 0), [
    false,
    true,
    false,
    true,
    false,
  ]);
  assertEquals(shares({ temperature: 1, topP: 0.75 }).map((s) => s > 0), [
    false,
    true,
    false,
    true,
    false,
  ]);
  assertEquals(shares({ temperature: 1, topP: 0.01 }), [0, 1, 0, 0, 0]);
});

Deno.test("a tiny temperature is greedy, not NaN", () => {
  assertEquals(
    new Set([1, 3]).has(sampler({ temperature: 1e-6 })(LOGITS)),
    true,
  );
});

Deno.test("options outside their range are refused", () => {
  for (
    const bad of [
      { temperature: -1 },
      { temperature: NaN },
      { topK: 0 },
      { topP: 1.1 },
      { topP: NaN },
      { seed: 0.5 },
    ]
  ) {
    assertThrows(() => sampler(bad), RuntimeError, "current value is");
  }
});
