/** Safetensors files that break a rule each. */
import type { Case } from "./case.ts";

/** A file of a header and so many zeros; `claimed` stands where the header's length does. */
export function file(
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

/** The entry of a tensor. */
export const t = (
  shape: string,
  begin: number | string,
  end: number | string,
  dtype = "F32",
) => `{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${begin},${end}]}`;

/** Expected code, what is wrong, the file. */
export const SAFETENSORS: readonly Case[] = [
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
  ["header_json", "deep nesting", file('{"a":' + "[".repeat(1e4))],
  ["header_json", "deep objects", file('{"a":'.repeat(1e4))],
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
