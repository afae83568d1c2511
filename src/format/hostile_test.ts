/** Files made to harm: each way to be wrong has its code, and nothing crashes. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { random, uniform } from "../tensor/random.ts";
import { FormatError } from "./error.ts";
import type { FormatErrorCode } from "./error.ts";
import { openSafetensors } from "./safetensors.ts";
import { bytesSource } from "./source.ts";

function file(
  header: string | Uint8Array,
  data = 0,
  claimed?: bigint,
): Uint8Array<ArrayBuffer> {
  const json = typeof header === "string"
    ? new TextEncoder().encode(header)
    : header;
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer)
    .setBigUint64(0, claimed ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const t = (
  shape: string,
  begin: number | string,
  end: number | string,
  dtype = "F32",
) => `{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${begin},${end}]}`;

/** Whole numbers below n, from a seed. */
function draw(seed: number): (n: number) => number {
  const next = random(seed);
  return (n) => Math.floor(uniform(next) * n);
}

const open = (bytes: Uint8Array) => openSafetensors(bytesSource(bytes, "x"));

const VALID = file(
  `{"__metadata__":{"format":"pt"},"a":${t("2,2", 0, 16)},"b":${
    t("3", 16, 19, "U8")
  }}`,
  19,
);

const cases: [FormatErrorCode, string, Uint8Array][] = [
  ["too_small", "no bytes", new Uint8Array(0)],
  ["too_small", "nine bytes", new Uint8Array(9)],
  ["header_too_large", "100 MB header", file("{}", 0, 100_000_000n)],
  ["header_too_large", "2^64 − 1 header", file("{}", 0, 2n ** 64n - 1n)],
  ["header_too_large", "2^53 header", file("{}", 0, 2n ** 53n)],
  ["header_truncated", "header longer than the file", file("{}", 0, 3n)],
  ["header_start", "blank first", file(" {}")],
  ["header_start", "an array", file("[]")],
  ["header_start", "empty header", file("", 2)],
  [
    "header_utf8",
    "bad UTF-8",
    file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)),
  ],
  [
    "header_utf8",
    "overlong UTF-8",
    file(Uint8Array.of(0x7b, 0xc0, 0xaf, 0x7d)),
  ],
  ["header_json", "unclosed", file('{"a":')],
  ["header_json", "trailing comma", file(`{"a":${t("1", 0, 4)},}`, 4)],
  ["header_json", "text after the end", file("{} {}")],
  ["header_json", "NUL padding", file("{}\0")],
  ["header_json", "NaN", file(`{"a":${t("NaN", 0, 4)}}`, 4)],
  ["header_json", "negative extent", file(`{"a":${t("-1", 0, 4)}}`, 4)],
  ["header_json", "fraction", file(`{"a":${t("1.0", 0, 4)}}`, 4)],
  ["header_json", "exponent", file(`{"a":${t("1e0", 0, 4)}}`, 4)],
  [
    "header_json",
    "2^53 extent",
    file(`{"a":${t("9007199254740992", 0, 4)}}`, 4),
  ],
  ["header_json", "deep nesting", file('{"a":' + "[".repeat(1e6))],
  ["header_json", "deep objects", file('{"a":'.repeat(1e5))],
  ["header_json", "bad escape", file('{"\\x":1}')],
  ["header_json", "control character", file('{"\n":1}')],
  [
    "duplicate_key",
    "tensor twice",
    file(`{"a":${t("1", 0, 4)},"a":${t("1", 4, 8)}}`, 8),
  ],
  [
    "duplicate_key",
    "twice by escape",
    file(`{"a":${t("1", 0, 4)},"\\u0061":${t("1", 4, 8)}}`, 8),
  ],
  [
    "duplicate_key",
    "shape twice",
    file(
      '{"a":{"dtype":"U8","shape":[1],"shape":[2],"data_offsets":[0,1]}}',
      1,
    ),
  ],
  ["header_entry", "a string", file('{"a":"U8"}')],
  [
    "header_entry",
    "no shape",
    file('{"a":{"dtype":"U8","data_offsets":[0,0]}}'),
  ],
  [
    "header_entry",
    "one offset",
    file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0]}}'),
  ],
  [
    "header_entry",
    "a key too many",
    file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}}'),
  ],
  [
    "header_entry",
    "shape of strings",
    file('{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}', 1),
  ],
  ["metadata", "number", file('{"__metadata__":{"a":1}}')],
  ["metadata", "array", file('{"__metadata__":[]}')],
  ["metadata", "nested", file('{"__metadata__":{"a":{}}}')],
  ["name", "empty", file(`{"":${t("1", 0, 4)}}`, 4)],
  ["name", "257 bytes", file(`{"${"n".repeat(257)}":${t("1", 0, 4)}}`, 4)],
  ["name", "lone surrogate", file(`{"\\ud800":${t("1", 0, 4)}}`, 4)],
  ["dtype", "unknown", file(`{"a":${t("1", 0, 4, "F4")}}`, 4)],
  ["dtype", "of Object's own", file(`{"a":${t("1", 0, 4, "constructor")}}`, 4)],
  ["shape", "nine axes", file(`{"a":${t("1,1,1,1,1,1,1,1,1", 0, 4)}}`, 4)],
  [
    "overflow",
    "2^60 elements",
    file(`{"a":${t("1073741824,1073741824", 0, 4)}}`, 4),
  ],
  [
    "overflow",
    "wraps to 4 in 64 bits",
    file(`{"a":${t("4294967296,4294967296,4", 0, 4)}}`, 4),
  ],
  ["offsets", "end before begin", file(`{"a":${t("1", 4, 0)}}`, 4)],
  ["size_mismatch", "too few", file(`{"a":${t("2", 0, 4)}}`, 4)],
  ["size_mismatch", "too many", file(`{"a":${t("1", 0, 8)}}`, 8)],
  ["truncated", "data cut", file(`{"a":${t("2", 0, 8)}}`, 7)],
  [
    "truncated",
    "1 PB claimed",
    file(`{"a":${t("1000000000000000", 0, "1000000000000000", "U8")}}`),
  ],
  [
    "overlap",
    "same bytes",
    file(`{"a":${t("1", 0, 4)},"b":${t("1", 0, 4)}}`, 4),
  ],
  ["overlap", "partly", file(`{"a":${t("1", 0, 4)},"b":${t("1", 2, 6)}}`, 6)],
  ["hole", "before the first", file(`{"a":${t("1", 4, 8)}}`, 8)],
  ["hole", "between", file(`{"a":${t("1", 0, 4)},"b":${t("1", 8, 12)}}`, 12)],
  ["trailing_bytes", "polyglot tail", file(`{"a":${t("1", 0, 4)}}`, 5)],
  ["trailing_bytes", "no tensors", file("{}", 1)],
];

Deno.test("every way to be wrong has its code", () => {
  for (const [code, what, bytes] of cases) {
    const error = assertThrows(() => open(bytes), FormatError);
    assertEquals(error.code, code, `${what}: ${error.message}`);
    assert(error.message.startsWith('Cannot open "x": '));
    assert(error.message.length < 400, error.message);
  }
});

Deno.test("what is merely unusual is read", () => {
  assertEquals(open(file("{}")).tensors.size, 0);
  assertEquals(open(file("{}   \n")).tensors.size, 0);
  const zero = `{"a":${t("1", 0, 4)},"z":${t("0", 4, 4)},"y":${
    t("2,0", 0, 0)
  }}`;
  assertEquals(open(file(zero, 4)).tensors.size, 3);
  assertEquals([...open(file(`{"a":${t("", 0, 4)}}`, 4)).tensor("a").read()], [
    0,
  ]);
  const edge = `{"${"n".repeat(256)}":${t("1,1,1,1,1,1,1,1", 0, 4)}}`;
  assertEquals(open(file(edge, 4)).tensors.size, 1);
});

Deno.test("a model cut at any byte is refused", () => {
  assertEquals(open(VALID).tensors.size, 2);
  for (let n = 0; n < VALID.length; n++) {
    assertThrows(() => open(VALID.slice(0, n)), FormatError);
  }
});

Deno.test("mutated files are read or refused, never anything else", () => {
  const below = draw(7);
  let refused = 0;
  const rounds = 20_000;
  for (let i = 0; i < rounds; i++) {
    const bytes = VALID.slice();
    for (let k = 0, n = 1 + below(3); k < n; k++) {
      bytes[below(bytes.length)] = below(256);
    }
    try {
      for (const tensor of open(bytes).tensors.values()) tensor.read();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      refused++;
    }
  }
  assert(refused > rounds / 2 && refused < rounds);
});
