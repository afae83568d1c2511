/**
 * All readers of untrusted input: of requests, images and model files.
 * @module
 */
import { constraint, vocabularyOf } from "../../src/constrain/constraint.ts";
import { rulesOf } from "../../src/constrain/json_schema.ts";
import { openSafetensors } from "../../src/format/safetensors.ts";
import { bytesSource } from "../../src/format/source.ts";
import { parseSettings } from "../../src/format/strict_json.ts";
import { decode as decodeImage } from "../../src/image/decode.ts";
import { parseJson } from "../../src/server/body.ts";
import { Connection, type Wire } from "../../src/server/http/connection.ts";
import { handler, LIMITS } from "../../src/server/mod.ts";
import { parseRequest } from "../../src/server/request.ts";
import { chat } from "../../src/tokenizer/chat.ts";
import { matcher } from "../../src/tokenizer/regex.ts";
import { readTokenizer } from "../../src/tokenizer/tokenizer.ts";
import { toyTokenizerJson } from "../toy_tokenizer.ts";
import { TARGETS } from "../fuzz/targets.ts";
import { fake } from "../server/fake.ts";
import type { WorstTarget } from "./search.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const seedsOf = (name: string) => TARGETS.find((t) => t.name === name)!.seeds;

const TOKENIZER = readTokenizer(toyTokenizerJson());
const VOCABULARY = vocabularyOf(TOKENIZER, () => true);
const STOPS = new Set([TOKENIZER.idOf("<end>")!]);

function list(n: number, value: unknown): unknown[] {
  return Array(n).fill(value);
}
const WORD = { type: "string", maxLength: 400 };

/** A schema and the first tokens of an answer that keeps to it. */
const schema: WorstTarget = {
  name: "schema",
  seeds: [
    ...seedsOf("schema"),
    ...[
      { anyOf: list(3000, { type: "string", minLength: 4096 }) },
      { anyOf: list(300, { type: "string", maxLength: 4096 }) },
      { anyOf: list(8, { type: "array", items: { $ref: "#" } }).concat(WORD) },
      { enum: list(4000, 0).map((_, i) => `word ${i * 7919}`) },
      {
        properties: Object.fromEntries(
          list(2000, 0).map((_, i) => [`p${i}`, { type: "null" }]),
        ),
      },
    ].map((json) => encode(JSON.stringify(json))),
  ],
  words: [
    ...['{"type":"string","minLength":4096},', '"a",', "1,", "[[", "]]"],
    ...['{"anyOf":[', "]},", '"required":["a"],', '{"$ref":"#"},', '"enum":['],
    ...['{"type":"array","maxItems":4096,"items":', '{"type":"integer"},'],
    ...['"p":{"type":"null"},', '{"const":"', '"maxLength":4096,'],
  ],
  mostBytes: 2_000_000,
  run(bytes) {
    const rules = rulesOf(parseSettings(decode(bytes)));
    const way = constraint(rules, VOCABULARY, TOKENIZER, STOPS, 1024);
    for (let i = 0; i < 8; i++) {
      const logits = new Float32Array(TOKENIZER.size);
      way.restrict(logits, 1024 - i);
      for (const id of STOPS) logits[id] = -1;
      const id = logits.lastIndexOf(0);
      if (id < 0) return;
      way.accept(id);
    }
  },
};

const template: WorstTarget = {
  name: "template",
  seeds: [
    ...seedsOf("template"),
    ...[
      "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(14) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{% set y = ns.x | upper %}{{ messages[0].content[0].text }}",
      "{% set r = range(4000) %}{% for i in range(40) %}{% set y = r | sort %}{% endfor %}",
      "{% for i in range(9000) %}{% set x = strftime_now('%B') %}{% endfor %}",
      `${"\n".repeat(900)}{%- if 1 %}x{% endif %}`,
      `{{ ${"(".repeat(2000)}1${")".repeat(2000)} }}`,
    ].map(encode),
  ],
  words: [
    ...["{% for i in range(9000) %}", "{% endfor %}", "{% set x = x ~ x %}"],
    ...[
      "{% set x = [x, x] %}",
      "{{ x | tojson }}",
      "{% if 1 %}",
      "{% endif %}",
    ],
    ...[
      "{{ x | replace('a', x) }}",
      "{{ x.split('a') }}",
      " ",
      "\n",
      "{#",
      "#}",
    ],
    ...[
      "{% macro m() %}",
      "{% endmacro %}",
      "{{ m() }}",
      "| sort",
      "| join(x)",
    ],
    ...["{{ strftime_now('%B') }}", "{{ x[::-1] }}", "{{ x in x }}", "(", ")"],
    ...[
      "| indent(9)",
      "{%- set ns = namespace(x='a') -%}",
      "{% set x = 'a' %}",
    ],
  ],
  mostBytes: 65_536,
  run: (bytes) =>
    chat(
      TOKENIZER,
      [{ role: "user", content: [{ type: "text", text: "hi" }] }],
      {
        template: decode(bytes),
        image: { token: "<image>", tokens: () => "<image>" },
      },
    ),
};

/** A pattern, and behind the first line the text that it is looked for in. */
const pattern: WorstTarget = {
  name: "pattern",
  seeds: [
    encode("(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\s+(?!\\S)\nIt's a dog."),
    encode("(?<=ba*)a|a+b|(?=(?:a|b){1,9}c)b\naaaaaaaab"),
    encode(`a{1,64}a+b\n${"a".repeat(99_000)}`),
    encode(`(?:a?){99}(?<!ba*)b|(?=a*b)a\n${"a".repeat(99_000)}`),
  ],
  words: [
    ...["a+", "a*", "a?", "(?:", ")", "(?=", "(?<=", "(?!", "|", "{1,9}", "a"],
    ...["\\p{L}", "[^a]", "(?i:", "b", " ", "a".repeat(1000), "\n", "\u4e2d"],
  ],
  mostBytes: 104_000,
  run(bytes) {
    const [source, ...rest] = decode(bytes).split("\n");
    matcher(source.slice(0, 4000))(rest.join("\n").slice(0, 100_000));
  },
};

const WORDS = readTokenizer(JSON.stringify({
  ...JSON.parse(toyTokenizerJson()),
  normalizer: { type: "NFC" },
}));

/** Text of a request. */
const text: WorstTarget = {
  name: "text",
  seeds: [encode("The dog's 12 <image> \u00e9 \u{1F600}\n\n  x")],
  words: [
    "a",
    " ",
    "\n",
    "'",
    "1",
    "\u0301",
    "\u4e2d",
    "<image>",
    "\u{1F468}\u200d",
  ],
  mostBytes: 400_000,
  run: (bytes) =>
    WORDS.encode(decode(bytes).slice(0, LIMITS.textLength), { special: false }),
};

const request: WorstTarget = {
  name: "request",
  seeds: seedsOf("request"),
  words: [
    ...["{},", "[],", '"a",', "[[", "]]", '{"a":', "}", '"\\\\', '"', "1,"],
    ...['{"role":"user","content":"x"},', '{"type":"text","text":"x"},', " "],
    ...['"metadata":', "1e308,", "\\u0000", "AAAA"],
  ],
  mostBytes: LIMITS.bodyBytes,
  run: (bytes) =>
    parseRequest(parseJson(bytes, LIMITS), { model: "m", limits: LIMITS }),
};

/** The whole way of a request, but for the model. */
const endpoint: WorstTarget = {
  ...request,
  name: "endpoint",
  mostBytes: 5_000_000,
  async run(bytes) {
    const handle = handler(fake({ pieces: 1 }), { model: "m" });
    const response = await handle(
      new Request("http://localhost/v1/chat/completions", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: bytes,
      }),
    );
    await response.text();
  },
};

/** What a connection sends. */
const connection: WorstTarget = {
  name: "connection",
  seeds: [
    encode("GET /health HTTP/1.1\r\nHost: x\r\n\r\n"),
    encode(
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ),
    encode("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"),
  ],
  words: [
    "a: b\r\n",
    "\r\n",
    "1\r\na\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ":",
    " ",
  ],
  mostBytes: 20_000, // more is more requests
  async run(bytes) {
    let at = 0;
    const wire: Wire = {
      // Little at a time, as a client does that means to cost something.
      read(into) {
        const n = Math.min(into.length, bytes.length - at, 97);
        into.set(bytes.subarray(at, at + n));
        at += n;
        return Promise.resolve(n === 0 ? null : n);
      },
      write: (b) => Promise.resolve(b.length),
      closeWrite: () => Promise.resolve(),
      close() {},
    };
    const times = { headMs: 5000, idleMs: 5000, writeMs: 5000 };
    await new Connection(wire, times).serve(async (request) =>
      Response.json((await request.text().catch(() => "")).length)
    );
  },
};

const tokenizer: WorstTarget = {
  name: "tokenizer",
  seeds: seedsOf("tokenizer"),
  words: ['"a":1,', '["a","b"],', '"Sequence"', '{"type":"NFKD"},', "[[", "]]"],
  mostBytes: 500_000,
  run(bytes) {
    const made = readTokenizer(decode(bytes));
    made.encode("a <image> \ufdfa".repeat(1000), { special: true });
  },
};

/** The header of a safetensors file; its length is made good, what it tells of data is not there. */
const fileHeader: WorstTarget = {
  name: "header",
  seeds: [
    { a: { dtype: "F32", shape: [2, 2], data_offsets: [0, 16] } },
    {
      __metadata__: { format: "pt" },
      ...Object.fromEntries(
        list(3000, 0).map((_, i) => [
          `t${i}`,
          { dtype: "U8", shape: [1], data_offsets: [i, i + 1] },
        ]),
      ),
    },
  ].map((json) => encode(JSON.stringify(json))),
  words: [
    ...['"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},', "[1,", "1,"],
    ...['"__metadata__":{', '"a":"b",', "\\u0000", "{", "}", "[", "]", " "],
  ],
  mostBytes: 4_000_000,
  run(json) {
    const bytes = new Uint8Array(8 + json.length);
    new DataView(bytes.buffer).setUint32(0, json.length, true);
    bytes.set(json, 8);
    openSafetensors(bytesSource(bytes, "x"));
  },
};

/** A settings file of a checkpoint, or the graph of a model file. */
function settings(name: string): WorstTarget {
  const { seeds, read } = TARGETS.find((t) => t.name === name)!;
  return {
    name,
    seeds,
    words: ["[[", "]]", '"a":1,', "{", "}", "1e9", "[1,", '"a",', " ", "0,"],
    mostBytes: 2_000_000,
    run: read,
  };
}

/** A whole picture of a kind. */
function picture(kind: string): WorstTarget {
  return {
    name: kind,
    seeds: seedsOf(kind),
    words: ["\0", "\xff", "\xff\xd8", "IDAT", "\x7f\x7f\x7f\x7f"],
    mostBytes: 1_000_000,
    run: (bytes) => decodeImage(bytes),
  };
}

/** All of them. */
export const WORST: readonly WorstTarget[] = [
  ...[
    schema,
    template,
    pattern,
    text,
    request,
    endpoint,
    connection,
    tokenizer,
    fileHeader,
  ],
  ...["graph", "config", "processor", "index"].map(settings),
  ...["png", "jpeg", "webp"].map(picture),
];

/** What any request within the limits may cost. */
export const MOST = { ms: 1000, mb: 256 } as const;
