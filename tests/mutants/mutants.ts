/**
 * About fifty plausible bugs in readers, writers and the server: a part of a file, and
 * its replacement. The tests for that code must detect each.
 * @module
 */

import { type Mutant, of } from "./mutant.ts";
import { FILES } from "./files.ts";
import { OUTSIDERS } from "./outsiders.ts";

const HOSTILE = "tests/hostile/hostile_test.ts";
const FORMAT = ["src/format", HOSTILE];
const VERIFY = ["src/format/model_file_test.ts", "tests/damage/model_test.ts"];
const IMAGE = ["src/image/decode_test.ts", "tests/hostile"];
const TEXT = ["src/tokenizer", HOSTILE];
const GRAPH = ["tests/hostile/read_graph_test.ts", HOSTILE];
const WRITE = ["src/format/safetensors_test.ts", "tests/damage/write_test.ts"];
const SERVER = [
  ...["src/server", "tests/server/requests_test.ts", HOSTILE],
  "tests/server/queue_test.ts",
];

/** All of them. */
export const MUTANTS: readonly Mutant[] = [
  ...of(
    "src/format/header.ts",
    FORMAT,
    ["a header of any length", "if (length > headerBytes) {", "if (false) {"],
    [
      "a header beyond the file",
      "if (8 + length > source.size) {",
      "if (length > source.size) {",
    ],
    [
      "bad UTF-8 is mended",
      'new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })',
      'new TextDecoder("utf-8", { ignoreBOM: true })',
    ],
    [
      "one tensor too many",
      "if (root.size > HEADER_LIMITS.tensors) {",
      "if (root.size > HEADER_LIMITS.tensors + 1) {",
    ],
    [
      "names of any length",
      "const fits = name.length <= most &&",
      "const fits = name.length >= 0 ||",
    ],
    [
      "lone surrogates in names",
      'if (name !== "" && name.isWellFormed() && fits) return;',
      'if (name !== "" && fits) return;',
    ],
    [
      "keys too many in an entry",
      "json.size !== 3 || typeof dtype",
      "json.size < 3 || typeof dtype",
    ],
    [
      "nine axes",
      "if (shape.length > HEADER_LIMITS.axes) {",
      "if (shape.length > HEADER_LIMITS.axes + 1) {",
    ],
    [
      "sizes that overflow",
      "if (byteLength > Number.MAX_SAFE_INTEGER) {",
      "if (byteLength > 2 ** 80) {",
    ],
    [
      "offsets that do not fit the shape",
      "if (end - begin !== byteLength) {",
      "if (end - begin < byteLength) {",
    ],
    ["data beyond the file", "if (last > size) {", "if (last > size + 8) {"],
    [
      "overlaps",
      'if (offset < at) fail("overlap"',
      'if (offset < 0) fail("overlap"',
    ],
    ["holes", "if (offset > at) {", "if (offset > at + 4) {"],
    ["a tail", "if (at < size) {", "if (at < size - 1) {"],
  ),
  ...of(
    "src/format/strict_json.ts",
    FORMAT,
    ["keys twice", "if (map.has(key)) {", 'if (map.has("")) {'],
    ["any depth", "if (depth >= limits.depth) {", "if (depth > 1e4) {"],
    [
      "control characters in strings",
      'else if (mark[0] !== \'"\') fail("a printable character");',
      "else if (mark[0] !== '\"') at++;",
    ],
    ["text behind the end", 'if (at < text.length) fail("the end");', ""],
  ),
  ...of(
    "src/format/verify.ts",
    VERIFY,
    [
      "a header's hash that differs",
      "await headerHash(source) !== header",
      "await headerHash(source) === undefined",
    ],
    [
      "tensors that are not listed",
      "if (got === want) continue;",
      "if (got === want || want === undefined) continue;",
    ],
    [
      "checksums are not demanded",
      "if (must && (header",
      "if (false && (header",
    ],
    [
      "only the first bytes are hashed",
      "at += chunk.length) {",
      "at += stored.byteLength) {",
    ],
  ),
  ...of(
    "src/format/source.ts",
    FORMAT,
    [
      "reads beyond the end",
      "if (offset >= 0 && offset + length <= source.size) return;",
      "if (offset >= 0) return;",
    ],
  ),
  ...of(
    "src/format/checkpoint.ts",
    FORMAT,
    [
      "shards outside the folder",
      "/^[\\w.-]+\\.safetensors$/",
      "/\\.safetensors$/",
    ],
  ),
  ...of(
    "src/format/atomic_write.ts",
    [...WRITE, "tests/faults/faults_test.ts"],
    [
      "no temporary file",
      "Deno.renameSync(temporary, path);",
      "Deno.copyFileSync(temporary, path);",
    ],
    [
      "the temporary file stays after a failure",
      "if (made) removeIfThere(temporary);",
      "",
    ],
    [
      "one write is enough",
      "for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));",
      "file.writeSync(bytes);",
    ],
    [
      "living writers are swept",
      "return file.tryLockSync(true);",
      "return true;",
    ],
  ),
  ...of(
    "src/format/records.ts",
    ["src/format/records_test.ts"],
    [
      "a record's hash is not compared",
      "if (!hash.digest().equals(digest)) return undefined;",
      "",
    ],
    [
      "work of other inputs goes on",
      "if (begun && begun.plain.key !== key) {",
      "if (false) {",
    ],
  ),
  ...of(
    "src/image/image.ts",
    IMAGE,
    [
      "pixels without end",
      "if (width * height > limits.pixels) {",
      "if (width * height > 2 * limits.pixels) {",
    ],
    [
      "strips",
      "if (Math.max(width, height) > limits.aspect",
      "if (Math.max(width, height) > 2 * limits.aspect",
    ],
    [
      "no pixels at all",
      "if (width < 1 || height < 1) {",
      "if (width < 0 || height < 0) {",
    ],
  ),
  ...of(
    "src/image/png.ts",
    IMAGE,
    [
      "chunks beyond the end",
      "if (at + 12 + length > bytes.length) break;",
      "",
    ],
    [
      "palettes of any size",
      'if (name === "PLTE" && length > 768) {',
      "if (false) {",
    ],
    [
      "sizes that nobody looks at",
      "checkSize(header.width, header.height, limits);",
      "",
    ],
  ),
  ...of(
    "src/image/inflate.ts",
    ["src/image", "tests/hostile"],
    [
      "fewer pixels than the header says",
      'if (s.at < out.length) return "short";',
      'if (s.at < out.length) return "whole";',
    ],
    [
      "a checksum that nobody compares",
      ".getUint32(p) === adler32(out)",
      ".getUint32(p) >= 0",
    ],
  ),
  ...of(
    "src/image/jpeg.ts",
    IMAGE,
    [
      "colours of any number",
      "if (components !== 1 && components !== 3) {",
      "if (false) {",
    ],
    ["scans without end", "++scans > MOST_SCANS", "++scans > 1e9"],
  ),
  ...of(
    "src/tokenizer/vocabulary.ts",
    TEXT,
    ["ids of any size", "id as number < MOST_TOKENS", "id as number < 2 ** 40"],
    [
      "ids twice",
      "if (other !== undefined) throw sameId(id, other, token);",
      "",
    ],
  ),
  ...of(
    "src/tokenizer/template_limits.ts",
    TEXT,
    ["steps without end", "steps: 100_000,", "steps: 10_000_000,"],
  ),
  ...of(
    "src/graph/field.ts",
    GRAPH,
    ["unknown fields", "if (!Object.hasOwn(fields, key)) {", "if (false) {"],
  ),
  ...of(
    "src/graph/read.ts",
    GRAPH,
    ["three bits", "[4, 5, 6, 7, 8].includes", "[3, 4, 5, 6, 7, 8].includes"],
  ),
  ...of(
    "src/server/body.ts",
    [...SERVER, "src/server/body_test.ts"],
    [
      "bodies without end",
      "if (size + value.length > bodyBytes) {",
      "if (false) {",
    ],
    ["brackets without end", "depth: jsonDepth,", "depth: 1e9,"],
  ),
  ...of(
    "src/server/request.ts",
    SERVER,
    [
      "images without end",
      "if (++count.images > limits.images) {",
      "if (false) {",
    ],
    [
      "text without end",
      "if (count.text > limits.textLength) {",
      "if (false) {",
    ],
  ),
  ...of(
    "src/server/guard.ts",
    [...SERVER, "src/server/guard_test.ts"],
    ["any host", "if (all || names.has(nameOf(host))) return;", "return;"],
    [
      "any key",
      "if (sameBytes(await digest(given), await wanted)) return;",
      "if (given) return;",
    ],
  ),
  ...of(
    "src/server/admission.ts",
    SERVER,
    [
      "a queue without end",
      "if (inside.size >= requests && !evict()) return undefined;",
      "",
    ],
  ),
  ...FILES,
  ...OUTSIDERS,
];
