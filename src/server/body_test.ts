import { assertEquals } from "@std/assert";
import { depthOf } from "./body.ts";

Deno.test("nesting is counted outside strings, and not beyond what is allowed", () => {
  const cases: [string, number][] = [
    ["1", 0],
    ["[]", 1],
    ['{"a":[{"b":1}]}', 3],
    ['["[[[[", "]"]', 1],
    ['["\\"[[", 1]', 1],
    ['["\\\\", [1]]', 2],
    ['["\\\\\\"[", [[1]]]', 3],
    ["[1], [[2]]", 2],
    ['"[[[', 0],
    ["]]]]", 0],
    ["[".repeat(1_000_000), 17],
  ];
  for (const [text, depth] of cases) {
    assertEquals(depthOf(text, 16), depth, text.slice(0, 40));
  }
});

Deno.test("a long string is passed over fast, whatever is in it", () => {
  for (const filling of ["a", "\\\\", '\\"', "["]) {
    const text = `["${filling.repeat(5_000_000 / filling.length)}"]`;
    const begin = performance.now();
    assertEquals(depthOf(text, 16), 1);
    if (performance.now() - begin > 2000) throw new Error(`slow: ${filling}`);
  }
});
