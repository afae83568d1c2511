/** Schemas made to take time or memory: answered or refused, within the budget. */
import { threadMs } from "../../tests/cpu_time.ts";
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { RuntimeError } from "../graph/error.ts";
import { toyTokenizerJson } from "../../tests/toy_tokenizer.ts";
import { readTokenizer } from "../tokenizer/tokenizer.ts";
import { constraint, vocabularyOf } from "./constraint.ts";
import { shortestTexts } from "./grammar.ts";
import { type JsonSchema, rulesOf, SCHEMA_LIMITS } from "./json_schema.ts";

const TOKENIZER = readTokenizer(toyTokenizerJson());
const VOCABULARY = vocabularyOf(TOKENIZER, () => true);
const STOPS = new Set([TOKENIZER.idOf("<end>")!]);

const list = <T>(n: number, f: (i: number) => T) =>
  Array.from({ length: n }, (_, i) => f(i));
const properties = (n: number, schema: unknown) =>
  Object.fromEntries(list(n, (i) => [`p${i}`, schema]));
function nested(depth: number, kinds: number): unknown {
  if (depth === 0) return { type: "null" };
  const items = nested(depth - 1, kinds);
  return {
    anyOf: [...list(kinds, () => ({ type: "array", items })), true],
  };
}
function deep(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

/** All steps are spent; on a busy machine the time may be before. */
const SPENT = /400000 steps|3000 ms/;

/** Each with what its error says; undefined: it is taken, or refused when an answer begins. */
const BOMBS: Readonly<Record<string, [unknown, RegExp?]>> = {
  "alternatives that repeat": [{
    anyOf: list(20_000, () => ({ type: "string", minLength: 4096 })),
  }],
  "alternatives of other least lengths": [{
    anyOf: list(4000, (i) => ({ type: "string", minLength: i })),
  }, SPENT],
  "alternatives of other most lengths": [{
    anyOf: list(4000, (i) => ({ type: "string", maxLength: i })),
  }, SPENT],
  "alternatives of other numbers": [{
    anyOf: list(5000, (i) => ({
      type: "integer",
      minimum: i * 7919 + 13,
      maximum: 9e14 - i * 104_729,
    })),
  }, SPENT],
  "arrays of other items": [{
    anyOf: list(100, (i) => ({
      type: "array",
      maxItems: 4096,
      items: { type: "array", maxItems: i },
    })),
  }, SPENT],
  "required properties": [{
    properties: properties(45_000, { type: "null" }),
    required: list(45_000, (i) => `p${i}`),
  }, SPENT],
  "required names without properties": [{
    required: list(200_000, (i) => `p${i}`),
  }, SPENT],
  "optional properties": [{
    properties: properties(45_000, { type: "null" }),
  }, SPENT],
  "properties that repeat": [{
    properties: properties(2000, { type: "string", minLength: 4096 }),
  }],
  "nine million values": [{ enum: Array(9e6).fill(1) }, SPENT],
  "a long constant": [{ const: "x".repeat(19e6) }, SPENT],
  "a long name": [
    { properties: { ["x".repeat(19e6)]: true } },
    SPENT,
  ],
  "a long word beside a short one": [
    { enum: ["a", "x".repeat(200_000)] },
    SPENT,
  ],
  "long words that begin alike": [{
    enum: list(300, (i) => "a".repeat(2000) + i),
  }, SPENT],
  "a type a million times": [
    { type: Array(1e6).fill("string") },
    /names a type twice/,
  ],
  "a reference without end": [
    { $ref: `#${"/a".repeat(1e6)}` },
    /must point into/,
  ],
  "an unknown keyword of a million letters": [
    { ["x".repeat(1e6)]: 1 },
    /^.{0,400}$/,
  ],
  "a deep constant": [{ const: deep(100_000) }, /deeper than 64/],
  "a deep schema": [
    list(100, (i) => i).reduce<unknown>((items) => ({ items }), true),
    /deeper than 64/,
  ],
  "kinds within kinds": [nested(5, 6), SPENT],
  "kinds within many kinds": [nested(4, 10), SPENT],
  "a chain of references": [{
    $defs: Object.fromEntries(
      list(1000, (i) => [`a${i}`, { $ref: `#/$defs/a${i + 1}` }]),
    ),
    $ref: "#/$defs/a0",
  }, /deeper than 64/],
  "counted texts": [{
    anyOf: list(200, (i) => ({
      type: "string",
      minLength: 3 * i,
      maxLength: 3 * i + 300,
    })),
  }],
};

for (const [name, [schema, want]] of Object.entries(BOMBS)) {
  Deno.test(`a schema of ${name} takes a second at most`, () => {
    const before = Deno.memoryUsage().rss, begun = threadMs();
    const answer = () => {
      const rules = rulesOf(schema as JsonSchema);
      const way = constraint(rules, VOCABULARY, TOKENIZER, STOPS, 60_000);
      for (let i = 0; i < 5; i++) {
        const logits = new Float32Array(TOKENIZER.size);
        way.restrict(logits, 60_000 - i);
        way.accept(logits.indexOf(0));
      }
    };
    if (want) {
      const error = assertThrows(answer, RuntimeError);
      assertEquals(error.code, "schema");
      assertMatch(error.message, want);
      assert(error.message.length < 600);
    } else {
      try {
        answer();
      } catch (error) {
        assertMatch(
          (error as Error).message,
          /begin with the same text|3000 ms/,
        );
      }
    }
    const ms = threadMs() - begun;
    assert(ms < 1500, `${ms} ms`); // the budget, on a busy machine
    const mb = (Deno.memoryUsage().rss - before) / 2 ** 20;
    assert(mb < 200, `${mb} MB`);
  });
}

Deno.test("an answer's own budget ends a schema that costs little each time", () => {
  // Two brackets are open in 4² ways, each with a count of letters.
  const kinds = list(4, () => ({ type: "array", items: { $ref: "#" } }));
  const schema = { anyOf: [...kinds, { type: "string", maxLength: 4000 }] };
  const way = constraint(
    rulesOf(schema),
    VOCABULARY,
    TOKENIZER,
    STOPS,
    60_000,
  );
  const text = `[["${"a".repeat(400)}`;
  const begun = threadMs();
  let tokens = 0;
  const error = assertThrows(() => {
    for (; tokens < text.length; tokens++) {
      way.restrict(new Float32Array(TOKENIZER.size), 60_000 - tokens);
      way.accept(idOf(text[tokens]));
    }
  }, RuntimeError);
  assertMatch(error.message, /begin with the same text/);
  const ms = threadMs() - begun;
  assert(tokens > 20 && ms < 5000, `${tokens} tokens, ${ms} ms`);
});

/** The token of one character. */
function idOf(char: string): number {
  return VOCABULARY.ids[
    VOCABULARY.bytes.findIndex((b) =>
      b.length === 1 && b[0] === char.charCodeAt(0)
    )
  ];
}

Deno.test("the shortest text is found whatever the order of the rules", () => {
  // Each rule needs the next one: as many rounds as rules, if done in order.
  const rules = list(20_000, (i) => [[i + 1, { from: 65, to: 65 }]]);
  const begun = threadMs();
  const shortest = shortestTexts([...rules, [[]]]);
  assertEquals([shortest[0], shortest.at(-1)], [20_000, 0]);
  assert(threadMs() - begun < 1000);
});

Deno.test("the limits of a schema hold at the limit", () => {
  const words = list(4000, (i) => `word ${i * 7919}`);
  assert(rulesOf({ enum: words }).length > 0);
  assert(rulesOf({ type: "string", maxLength: SCHEMA_LIMITS.repeat }).length);
  assertThrows(
    () => rulesOf({ type: "string", maxLength: SCHEMA_LIMITS.repeat + 1 }),
    RuntimeError,
    "0 to 4096",
  );
});
