import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { parseJson } from "./body.ts";

const parse = (text: string, jsonDepth = 2) =>
  parseJson(new TextEncoder().encode(text), { jsonDepth });

Deno.test("nesting is counted outside strings, and not beyond what is allowed", () => {
  for (
    const text of [
      "1",
      "[[]]",
      '{"a":[1]}',
      '["[[[[", "]"]',
      '["\\"[[", 1]',
      '["\\\\", [1]]',
      '"[[["',
      '["\\\\\\"[", [1]]',
    ]
  ) assertEquals(parse(text), JSON.parse(text));
  for (const text of ["[[[]]]", '{"a":[{}]}', '["\\\\\\"[", [[1]]]']) {
    assertThrows(() => parse(text), Error, "deeper than 2");
  }
  assertThrows(() => parse("[".repeat(1e6), 16), Error, "deeper than 16");
  for (const text of ["]]]]", "[1], [[2]]", '"[[[', '{"a":1,}', "[1 2]"]) {
    const { message } = assertThrows(() => parse(text), Error);
    assertMatch(message, /^Cannot read the request: it is no valid JSON/);
  }
});

Deno.test("a long string is read fast, whatever is in it", () => {
  for (const filling of ["a", "\\\\", '\\"', "[", "é"]) {
    const text = `["${filling.repeat(5_000_000 / filling.length)}"]`;
    const begin = performance.now();
    assertEquals(parse(text), JSON.parse(text));
    if (performance.now() - begin > 2000) throw new Error(`slow: ${filling}`);
  }
});
