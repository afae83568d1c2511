import { assertEquals, assertThrows } from "@std/assert";
import { chooser } from "./choose.ts";
import { RuntimeError } from "../graph/error.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

const PADDED = 150_000, SAID = 7;

/** Chooses greedily where only ids below `said` are tokens; counts how often it looked. */
function greedy(said: number) {
  let looks = 0;
  const pick = (logits: Float32Array) => {
    looks++;
    return logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
  };
  const choose = chooser({ pick }, {
    tokenizer: {} as Tokenizer,
    isAllowed: (id) => id < said,
    disallowed: () =>
      Int32Array.from({ length: PADDED - said }, (_, i) => said + i),
  });
  return { choose, looks: () => looks };
}

Deno.test("rows of a padded vocabulary are passed over at once, however many stand above", () => {
  const { choose, looks } = greedy(SAID);
  const logits = Float32Array.from({ length: PADDED }, (_, id) => id);
  assertEquals(choose.next(logits, 1), SAID - 1);
  assertEquals(looks(), 2);
});

Deno.test("a model that can say nothing is damaged", () => {
  const { choose } = greedy(0);
  assertThrows(
    () => choose.next(new Float32Array(PADDED), 1),
    RuntimeError,
    "no token has a finite logit",
  );
});
