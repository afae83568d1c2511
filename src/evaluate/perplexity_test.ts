import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { openFamily } from "../../tests/golden/family.ts";
import { float64 } from "../graph/executor.ts";
import { load, runText } from "../graph/run.ts";
import { newSequence } from "../graph/runner.ts";
import {
  engineNll,
  interpreterNll,
  perplexity,
  tokenNll,
  windowsOf,
} from "./perplexity.ts";

Deno.test("tokenNll: −ln of the softmax, however large the logits", () => {
  assertAlmostEquals(tokenNll([0, 0, 0, 0], 2), Math.log(4), 1e-12);
  const shifted = [1001, 1002, 1003];
  const p = Math.exp(3) / (Math.exp(1) + Math.exp(2) + Math.exp(3));
  assertAlmostEquals(tokenNll(shifted, 2), -Math.log(p), 1e-9);
});

Deno.test("perplexity weighs parts by their tokens: even odds of 4 and of 8 words", () => {
  const parts = [
    { nll: 30 * Math.log(4), tokens: 30 },
    { nll: 10 * Math.log(8), tokens: 10 },
  ];
  assertAlmostEquals(perplexity(parts), 4 ** 0.75 * 8 ** 0.25, 1e-9);
});

Deno.test("windowsOf: one behind the other, none shorter", () => {
  const ids = [1, 2, 3, 4, 5, 6, 7];
  assertEquals(windowsOf(ids, 3, 2), [[1, 2, 3], [4, 5, 6]]);
  assertThrows(() => windowsOf(ids, 3, 3), RangeError, "the text has 7");
});

Deno.test("a window read at once and token by token costs the same", async () => {
  using family = openFamily("llama-toy");
  const loaded = load(family.files.model, float64);
  let sequence = newSequence();
  const next = (ids: ArrayLike<number>) =>
    Promise.resolve(runText(loaded, [{ sequence, ids }]));
  const reader = {
    reset: () => void (sequence = newSequence()),
    prefill: next,
    decode: (id: number) => next([id]),
  };
  const window = family.items[0].input_ids.slice(0, 20);
  const whole = interpreterNll(loaded, window);
  const stepwise = await engineNll(reader, window);
  assertEquals([whole.tokens, stepwise.tokens], [19, 19]);
  assertAlmostEquals(whole.nll, stepwise.nll, 1e-9);
});
