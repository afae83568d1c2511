import { assert, assertEquals } from "@std/assert";
import { adaptiveThreads } from "./adaptive_threads.ts";

/** Fraction of slices on all threads, where a slice takes `single` or `multi` ms. */
function fraction(
  a: ReturnType<typeof adaptiveThreads>,
  single: number,
  multi: number,
  slices = 640,
): number {
  let count = 0;
  for (let i = 0; i < slices; i++) {
    const all = a.useAll();
    a.record(all, 100, all ? multi : single);
    count += Number(all);
  }
  return count / slices;
}

Deno.test("the faster choice is kept, the other is tried now and then", () => {
  assertEquals(adaptiveThreads().useAll(), true);
  assert(fraction(adaptiveThreads(), 2, 1) > 0.95);
  assert(fraction(adaptiveThreads(), 1, 2) < 0.05);
});

Deno.test("the choice follows the load of the machine", () => {
  const a = adaptiveThreads();
  fraction(a, 2, 1);
  assert(fraction(a, 2, 9) < 0.1, "a busy machine");
  assert(fraction(a, 2, 1, 6400) > 0.8, "idle again");
});
