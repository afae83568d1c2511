import { assert, assertEquals } from "@std/assert";
import { pace } from "./pace.ts";

/** Shares of slices done together when a slice takes so long. */
function together(
  p: ReturnType<typeof pace>,
  alone: number,
  shared: number,
  slices = 640,
): number {
  let count = 0;
  for (let i = 0; i < slices; i++) {
    const both = p.shared();
    p.note(both, 100, both ? shared : alone);
    count += Number(both);
  }
  return count / slices;
}

Deno.test("what is faster is kept to, the other is tried now and then", () => {
  assertEquals(pace().shared(), true);
  assert(together(pace(), 2, 1) > 0.95);
  assert(together(pace(), 1, 2) < 0.05);
});

Deno.test("it changes when the machine does", () => {
  const p = pace();
  together(p, 2, 1);
  assert(together(p, 2, 9) < 0.1, "others came");
  assert(together(p, 2, 1, 6400) > 0.8, "others left");
});
