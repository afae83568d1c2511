import { assertEquals, assertThrows } from "@std/assert";
import { random, uniform } from "../tensor/random.ts";
import { parseStrictJson, plain, StrictJsonError } from "./strict_json.ts";

const LIMITS = { depth: 8, values: 1000 };
const parse = (text: string) => plain(parseStrictJson(text, LIMITS));

Deno.test("what JSON.parse reads is read the same, what it refuses is refused", () => {
  const next = random(3);
  const pieces = [
    ...['"', '"a"', "\\n", "\\u00e9", "\\x", "{", "}", "[", "]", ",", ":", "1"],
    ...[
      "-0.5e3",
      "01",
      "true",
      "nul",
      " ",
      "\n",
      "\t",
      "\x01",
      "é",
      "\u{1F600}",
    ],
  ];
  let read = 0;
  for (let i = 0; i < 20_000; i++) {
    let text = uniform(next) < 0.7 ? '["' : "";
    for (let k = Math.floor(uniform(next) * 6); k >= 0; k--) {
      text += pieces[Math.floor(uniform(next) * pieces.length)];
    }
    if (uniform(next) < 0.7) text += '"]';
    let want: unknown;
    try {
      want = JSON.parse(text);
    } catch {
      assertThrows(() => parse(text), StrictJsonError);
      continue;
    }
    assertEquals(parse(text), want, text);
    read++;
  }
  assertEquals(read > 1000, true, `${read}`);
});

Deno.test("long strings are read like short ones", () => {
  const long = "x".repeat(3_000_000);
  assertEquals(parse(`["${long}"]`), [long]);
  assertEquals(parse(`["${long}\\n"]`), [`${long}\n`]);
  for (const bad of [`["${long}\n"]`, `["${long}\\q"]`, `["${long}`]) {
    assertThrows(() => parse(bad), StrictJsonError);
  }
});

Deno.test("nesting and values are counted, keys twice refused, __proto__ is a key", () => {
  assertEquals(parse("[[[[[[[[]]]]]]]]"), [[[[[[[[]]]]]]]]);
  assertThrows(() => parse("[[[[[[[[[]]]]]]]]]"), StrictJsonError, "deeper");
  assertEquals((parse(`[${Array(999).fill(1)}]`) as unknown[]).length, 999);
  assertThrows(
    () => parse(`[${Array(1000).fill(1)}]`),
    StrictJsonError,
    "more than 1000",
  );
  assertThrows(() => parse('{"a":1,"a":2}'), StrictJsonError, "twice");
  const made = parse('{"__proto__":{"x":1}}') as object;
  assertEquals([Object.keys(made), "x" in made], [["__proto__"], false]);
});
