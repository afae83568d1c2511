import { assert, assertEquals, assertThrows } from "@std/assert";
import { budget } from "./budget.ts";

const over = (bound: string): never => {
  throw new Error(bound);
};

Deno.test("a budget allows its steps and not one more; steps given back count", () => {
  const spend = budget({ steps: 10 }, over);
  spend(4);
  spend(6);
  assertThrows(() => spend(1), Error, "steps");
  const other = budget({ steps: 10 }, over);
  other(10);
  other(-3);
  other(3);
  assertThrows(() => other(1), Error, "steps");
  assertThrows(() => budget({ steps: 10 }, over)(NaN), Error, "steps");
});

Deno.test("a budget ends with its time, however many steps are left", () => {
  const spend = budget({ steps: 1e12, ms: 20 }, over);
  const begun = performance.now();
  const error = assertThrows(() => {
    while (performance.now() - begun < 5000) spend(1);
  }, Error);
  assertEquals(error.message, "ms");
  assert(performance.now() - begun < 1000);
});
