import { assert, assertEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { FormatError } from "../error.ts";
import { bytesSource } from "../source.ts";
import { BLOCK_FORMATS } from "./blocks.ts";
import golden from "./blocks_golden.json" with { type: "json" };
import { openGguf } from "./read.ts";
import {
  ARRAY,
  F32,
  head,
  Q8_0,
  TEXT,
  U32,
} from "../../../tests/gguf/writer.ts";

Deno.test("blocks of every format have the floats of llama.cpp's gguf package", () => {
  for (const { type, name, bytes, first, sha256 } of golden) {
    const format = BLOCK_FORMATS.get(type)!, raw = Uint8Array.fromBase64(bytes);
    const count = raw.length / format.bytes;
    const out = new Float32Array(count * format.weights);
    for (let i = 0; i < count; i++) {
      format.decode(raw, i * format.bytes, out, i * format.weights);
    }
    assertEquals(format.name, name);
    assertEquals([...out.subarray(0, first.length)], first, name);
    const hash = createHash("sha256").update(new Uint8Array(out.buffer));
    assertEquals(hash.digest("hex"), sha256, name);
  }
});

const open = (bytes: Uint8Array) => openGguf(bytesSource(bytes, "m.gguf"));

/** One key of each shape, and the tensors a [2, 64] in Q8_0 and b [3] in F32. */
function small() {
  const q8 = Array.from(
    { length: 4 },
    (_, block) => [0, 0x3c + 4 * (block & 1), ...Array(32).fill(block + 1)],
  ).flat(); // scales 1 and 2
  const w = head(2, 2)
    .text("general.name").u32(TEXT).text("tiny")
    .text("list").u32(ARRAY).u32(U32).u64(3).u32(7).u32(8).u32(9)
    .text("a").u32(2).u64(64).u64(2).u32(Q8_0).u64(0)
    .text("b").u32(1).u64(3).u32(F32).u64(160).pad()
    .bytes(Uint8Array.from(q8)).pad()
    .bytes(new Uint8Array(Float32Array.of(1.5, -2, 0.25).buffer));
  return w.end();
}

Deno.test("keys and tensors of a file, whole and in slices", () => {
  const { keys, file } = open(small());
  assertEquals(keys.get("general.name"), "tiny");
  assertEquals(keys.get("list"), [7, 8, 9]);
  const a = file.tensor("a"), b = file.tensor("b");
  assertEquals([a.shape, b.shape], [[2, 64], [3]]);
  const want = [1, 4, 3, 8].flatMap((w) => Array(32).fill(w));
  assertEquals([...a.read()], want);
  assertEquals([...b.read()], [1.5, -2, 0.25]);
  const all = new Uint8Array(Float32Array.from(want).buffer);
  for (const [from, to] of [[0, 512], [4, 8], [126, 131], [250, 511]]) {
    const part = new Uint8Array(to - from);
    a.readSlice(from, part);
    assertEquals(part, all.slice(from, to), `${from} to ${to}`);
  }
});

Deno.test("files that are cut, or claim what they do not have, are refused before memory is taken", () => {
  const whole = small();
  for (let n = 0; n < whole.length; n += 3) {
    assertThrows(() => open(whole.slice(0, n)), FormatError);
  }
  const refused = (bytes: Uint8Array, message: string) =>
    assertThrows(() => open(bytes), FormatError, message);
  refused(head(0, 0, 1).end(), "2 or 3: it is 1");
  refused(head(2n ** 63n, 0).end(), "tensors, at most");
  refused(head(0, 2n ** 40n).end(), "keys, at most");
  refused(head(0, 1).u64(2n ** 40n).end(), "bytes in a text, at most");
  refused(
    head(0, 1).text("k").u32(ARRAY).u32(U32).u64(2 ** 30).end(),
    "elements in an array, at most",
  );
  refused(
    head(0, 1).text("k").u32(ARRAY).u32(ARRAY).u64(1).u32(ARRAY).u64(1)
      .u32(ARRAY).u64(1).end(),
    "nested deeper",
  );
  refused(head(0, 1).text("k").u32(99).end(), "unknown type 99");
  refused(
    head(0, 2).text("k").u32(U32).u32(1).text("k").u32(U32).u32(1).end(),
    "twice",
  );
  refused(
    head(0, 1).text("general.alignment").u32(U32).u32(0).end(),
    "general.alignment",
  );
  const tensor = (axes: number[], type: number, offset: number | bigint = 0) =>
    axes.reduce((w, n) => w.u64(n), head(1, 0).text("t").u32(axes.length))
      .u32(type).u64(offset).pad().bytes(new Uint8Array(64)).end();
  refused(tensor([32], 17), "block format 17, known are");
  refused(tensor([2 ** 31, 2 ** 31], F32), "does not fit");
  refused(tensor([31], Q8_0), "does not fit");
  refused(tensor([16], F32, 2n ** 49n), "does not fit");
  refused(tensor(Array(9).fill(1), F32), "9 axes");
  assert(open(tensor([16], F32)).file.tensor("t").read().length === 16);
});
