/** Grammars against an independent judge of JSON schemas, the tokens of a real tokenizer, and the limits. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Ajv2020 } from "ajv/dist/2020.js";
import { random, uniform } from "../tensor/random.ts";
import { toyTokenizerJson } from "../../tests/toy_tokenizer.ts";
import { readTokenizer } from "../tokenizer/tokenizer.ts";
import { RuntimeError } from "../graph/error.ts";
import { constraint, vocabularyOf } from "./constraint.ts";
import { start, type State } from "./grammar.ts";
import { type JsonSchema, rulesOf } from "./json_schema.ts";

const SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  "a caption": {
    type: "object",
    title: "Caption",
    properties: {
      caption: { type: "string", minLength: 1, maxLength: 40 },
      people: { type: "integer", minimum: 0, maximum: 20 },
      outdoors: { type: "boolean" },
      tags: { type: "array", items: { type: "string" }, maxItems: 3 },
    },
    required: ["caption", "people"],
    additionalProperties: false,
  },
  "optional properties": {
    type: "object",
    properties: { a: { type: "null" }, b: { const: [1, "x"] }, c: true },
  },
  "one required behind optional ones": {
    properties: { a: { type: "number" }, b: { type: "integer" }, c: {} },
    required: ["c", "d"],
  },
  "bounds": { type: "integer", minimum: -17, exclusiveMaximum: 1024.5 },
  "below": { type: "integer", maximum: -300 },
  "exclusive": { type: "integer", exclusiveMinimum: 8, maximum: 10 },
  "an enum": { enum: ["red", 'gr"een', 3, null, { x: [true] }] },
  "an enum of a type": { type: "string", enum: ["red", 3, "blue"] },
  "arrays": {
    type: "array",
    items: { type: "number" },
    minItems: 2,
    maxItems: 4,
  },
  "no items": { type: "array", maxItems: 0 },
  "many types": { type: ["string", "null", "array"], maxLength: 2 },
  "alternatives": {
    anyOf: [{ type: "integer" }, { type: "array", items: { type: "boolean" } }],
  },
  "a map": { type: "object", additionalProperties: { type: "integer" } },
  "nothing but braces": { type: "object", additionalProperties: false },
  "a tree": {
    $defs: {
      node: {
        type: "object",
        properties: {
          name: { type: "string", maxLength: 3 },
          children: { type: "array", items: { $ref: "#/$defs/node" } },
        },
        required: ["name", "children"],
      },
    },
    $ref: "#/$defs/node",
  },
  "anything": true,
  "a number": { type: "number" },
};

const TOKENIZER = readTokenizer(toyTokenizerJson());
const VOCABULARY = vocabularyOf(TOKENIZER, () => true);
const STOP = TOKENIZER.idOf("<end>")!, STOPS = new Set([STOP]);

/** An answer of at most `most` tokens, each drawn evenly from those allowed. */
function drawn(schema: JsonSchema, most: number, seed: number): string {
  const way = constraint(rulesOf(schema), VOCABULARY, TOKENIZER, STOPS, most);
  const next = random(seed), ids: number[] = [];
  while (ids.length < most && !way.ended) {
    const logits = new Float32Array(TOKENIZER.size);
    way.restrict(logits, most - ids.length);
    const allowed = [...logits.keys()].filter((id) => logits[id] === 0);
    assert(allowed.length > 0);
    assertEquals(allowed.includes(STOP), way.whole);
    const id = allowed[Math.floor(uniform(next) * allowed.length)];
    if (id === STOP) break;
    way.accept(id);
    ids.push(id);
  }
  assert(way.whole, TOKENIZER.decode(ids));
  return TOKENIZER.decode(ids);
}

for (const [name, schema] of Object.entries(SCHEMAS)) {
  Deno.test(`every text is JSON and valid: ${name}`, () => {
    const judge = new Ajv2020({ strict: false });
    const valid = judge.compile(schema);
    const texts = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      for (const most of [40, 90, 300]) {
        const text = drawn(schema, most, seed);
        assert(
          valid(JSON.parse(text)),
          `${text} ${judge.errorsText(valid.errors)}`,
        );
        texts.add(text.trim());
      }
    }
    const few = [
      "no items",
      "nothing but braces",
      "exclusive",
      "an enum",
      "an enum of a type",
    ];
    assert(texts.size > (few.includes(name) ? 0 : 8), `${texts.size} texts`);
  });
}

/** Whether `text` follows the grammar of a schema. */
function follows(schema: JsonSchema, text: string): boolean {
  let state: State | undefined = start(rulesOf(schema));
  for (const byte of new TextEncoder().encode(text)) state = state?.next(byte);
  return state?.need === 0;
}

Deno.test("what is valid can be said, what is not cannot", () => {
  const caption = SCHEMAS["a caption"];
  assert(follows(caption, '{"caption":"Zwei Hündchen 🐕","people":0}'));
  assert(
    follows(
      caption,
      '{"caption": "a \\"b\\"", "people": 20, "tags": ["x", "y"]}',
    ),
  );
  for (
    const bad of [
      '{"people":0,"caption":"a"}',
      '{"caption":"","people":0}',
      '{"caption":"a","people":21}',
      '{"caption":"a","people":0,"tags":["a","b","c","d"]}',
      '{"caption":"a","people":0,"more":1}',
      '{"caption":"a","people":0',
      '{"caption":"a","people":0}}',
      '{"caption":"\n","people":0}',
      "{}",
    ]
  ) assert(!follows(caption, bad), bad);
  for (let n = -1100; n <= 1100; n++) {
    assertEquals(follows(SCHEMAS.bounds, `${n}`), n >= -17 && n <= 1024);
    assertEquals(follows(SCHEMAS.below, `${n}`), n <= -300);
  }
  for (const bad of ["01", "-", "+1", "1.", ".5", "1e5", "0x1", ""]) {
    assert(!follows({ type: "number" }, bad), bad);
  }
  assert(!follows(true, '"\ud800"'.toWellFormed().slice(0, 2)));
});

Deno.test("UTF-8 is well-formed byte by byte", () => {
  const bytes = (...all: number[]) => {
    let state: State | undefined = start(rulesOf({ type: "string" })).next(
      0x22,
    );
    for (const b of [...all, 0x22]) state = state?.next(b);
    return state?.need === 0;
  };
  assert(bytes(0xc3, 0xa4) && bytes(0xf0, 0x9f, 0x90, 0x95));
  for (
    const bad of [
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf5, 0x80, 0x80, 0x80],
      [0x80],
      [0xc3],
      [0x0a],
      [0xf4, 0x90, 0x80, 0x80],
    ]
  ) {
    assert(!bytes(...bad), `${bad}`);
  }
});

Deno.test("a schema that is not supported is refused by name", () => {
  const cases: [unknown, RegExp][] = [
    [
      { type: "string", pattern: "a+" },
      /at "#": "pattern" is not supported here/,
    ],
    [{ oneOf: [true] }, /"oneOf".*anyOf/],
    [{ type: "text" }, /#\/type.*integer/],
    [{ type: "number", minimum: 0 }, /"minimum"/],
    [
      { properties: { a: { type: "array", uniqueItems: true } } },
      /#\/properties\/a.*uniqueItems/,
    ],
    [{ $ref: "other.json" }, /must point into the schema/],
    [{ $ref: "#/$defs/x" }, /does not exist in the schema/],
    [{ $ref: "#" }, /no finite JSON value/],
    [{
      $defs: {
        a: { type: "array", items: { $ref: "#/$defs/a" }, minItems: 1 },
      },
      $ref: "#/$defs/a",
    }, /no finite JSON value/],
    [{ type: "integer", minimum: 5, maximum: 4 }, /no integer is within/],
    [{ type: "string", minLength: 9, maxLength: 3 }, /minLength is above/],
    [{ type: "string", maxLength: 1e9 }, /0 to 4096/],
    [{ enum: [] }, /none of its values/],
    [{ anyOf: [] }, /list of some schemas/],
    [false, /must be an object or true/],
    [null, /must be an object or true/],
    [[], /must be an object or true/],
    [{
      type: "array",
      maxItems: 4096,
      items: {
        type: "array",
        maxItems: 4096,
        items: { type: "string", maxLength: 4096 },
      },
    }, /^$/],
  ];
  for (const [schema, want] of cases.slice(0, -1)) {
    const { message } = assertThrows(() => rulesOf(schema as JsonSchema));
    assertMatch(message, want);
    assertMatch(message, /^Cannot answer: the JSON schema at/);
  }
  assert(rulesOf(cases.at(-1)![0] as JsonSchema).length < 50_000);
  const most = () =>
    constraint(rulesOf(SCHEMAS["a caption"]), VOCABULARY, TOKENIZER, STOPS, 10);
  assertThrows(most, Error, "maxTokens must be at least 26");
});

Deno.test("a schema with too many alternatives is refused quickly; a long enum is not", () => {
  const kinds = (depth: number): Record<string, unknown> =>
    depth === 0 ? { const: 1 } : {
      anyOf: [1, 2, 3, 4].map((maxItems) => ({
        type: "array",
        items: { $ref: `#/$defs/${depth - 1}` },
        minItems: 1,
        maxItems,
      })),
    };
  const $defs = Object.fromEntries(
    Array.from({ length: 13 }, (_, depth) => [depth, kinds(depth)]),
  );
  const begun = performance.now();
  assertThrows(
    () => drawn({ $defs, $ref: "#/$defs/12" }, 300, 1),
    RuntimeError,
    "begin with the same text",
  );
  const ms = performance.now() - begun;
  assert(ms < 5000, `${ms} ms`); // once without end
  const words = Array.from({ length: 4000 }, (_, i) => `word ${i * 7919}`);
  assert(words.includes(JSON.parse(drawn({ enum: words }, 40, 1))));
});
