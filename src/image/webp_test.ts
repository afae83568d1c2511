/** Which libwebp decodes, and what it does with pictures made to harm it. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import makeLibwebp from "wasm-webp/dist/esm/webp-wasm.js";
import { readBytes } from "../platform/platform.ts";
import { decode } from "./decode.ts";
import golden from "./decode_golden.json" with { type: "json" };
import { ImageError } from "./image.ts";
import { isNew } from "./webp.ts";

/** Bits, the first lowest. */
function bits() {
  const bytes: number[] = [];
  let hold = 0, n = 0;
  return {
    put(value: number, count: number) {
      for (let i = 0; i < count; i++) {
        hold |= (value >> i & 1) << n;
        if (++n === 8) bytes.push(hold), hold = n = 0;
      }
    },
    end: () => [...bytes, ...(n > 0 ? [hold] : [])],
  };
}

/** A lossless WebP whose header tells its size; `body` writes what follows. */
function lossless(
  side: number,
  body: (put: (v: number, n: number) => void) => void,
) {
  const { put, end } = bits();
  put(0x2f, 8), put(side - 1, 14), put(side - 1, 14), put(0, 1), put(0, 3);
  body(put);
  const data = end();
  if (data.length % 2) data.push(0);
  const word = (n: number) => [n & 255, n >> 8 & 255, n >> 16 & 255, n >> 24];
  const text = (t: string) => [...t].map((c) => c.charCodeAt(0));
  const chunk = [...text("VP8L"), ...word(data.length), ...data];
  return Uint8Array.from([
    ...text("RIFF"),
    ...word(chunk.length + 4),
    ...text("WEBP"),
    ...chunk,
  ]);
}

/** Order in which lengths of code lengths are stored. */
const ORDER = [
  17,
  18,
  0,
  1,
  2,
  3,
  4,
  5,
  16,
  6,
  7,
  8,
  9,
  10,
  11,
  12,
  13,
  14,
  15,
];

/** Codes that fill more of the table than libwebp before 1.3.2 had (CVE-2023-4863). */
function overfull(put: (v: number, n: number) => void) {
  put(0, 3);
  const code = (counts: number[], alphabet: number) => {
    const lengths = counts.flatMap((n, l) => Array<number>(n).fill(l));
    put(0, 1), put(15, 4);
    for (const symbol of ORDER) put(symbol < 16 ? 4 : 0, 3);
    put(0, 1);
    const reversed = (v: number) =>
      (v & 1) << 3 | (v & 2) << 1 | (v & 4) >> 1 | v >> 3;
    for (let i = 0; i < alphabet; i++) put(reversed(lengths[i] ?? 0), 4);
  };
  const none = Array<number>(7).fill(0);
  code([0, 1, 0, 1, 0, 0, 0, 0, 0, 179, 13, 1, 17, 65, 1, 2], 280);
  for (let i = 0; i < 3; i++) {
    code([0, 1, 1, 0, 0, 0, 0, 0, 0, 95, 41, 1, 81, 33, 1, 2], 256);
  }
  code([...none, 0, 0, 1, 1, 1, 1, 1, 1, 34], 40);
  for (let i = 0; i < 64; i++) put(0, 8);
}

Deno.test("the libwebp inside tells a version without CVE-2023-4863", async () => {
  const url = import.meta.resolve("wasm-webp/dist/esm/webp-wasm.wasm");
  const libwebp = await makeLibwebp({ wasmBinary: await readBytes(url) });
  assertMatch(libwebp.decoder_version(), /^1\.\d+\.\d+$/);
  assert(isNew(libwebp.decoder_version()));
  for (const old of ["1.3.1", "1.1.0", "0.6.1"]) assert(!isNew(old), old);
  for (const good of ["1.3.2", "1.4.0", "1.10.0", "2.0.0"]) assert(isNew(good));
});

Deno.test("Huffman tables that overflow an old libwebp harm nobody", async () => {
  await decode(lossless(1, overfull)).catch((e) =>
    assert(e instanceof ImageError)
  );
  const { file, sha256 } = golden.good.find((c) => c.what === "webp lossless")!;
  const { data } = await decode(Uint8Array.fromBase64(file));
  const hash = await crypto.subtle.digest("SHA-256", data);
  assertEquals(new Uint8Array(hash).toHex(), sha256);
});

Deno.test("65,536 Huffman groups for a small picture exceed its memory limit", async () => {
  const side = 1024;
  const bytes = lossless(side, (put) => {
    put(0, 2), put(1, 1), put(0, 3), put(0, 1); // codes by blocks of 4 × 4
    const simple = () => (put(1, 1), put(0, 3));
    put(0, 1), put(8, 4);
    for (let i = 0; i < 12; i++) put(+[0, 8].includes(ORDER[i]), 3);
    put(0, 1);
    for (let i = 0; i < 280; i++) put(+(i < 256), 1);
    put(0, 1), put(8, 4);
    for (let i = 0; i < 12; i++) put(+(ORDER[i] === 8), 3);
    put(0, 1);
    simple(), simple(), simple();
    for (let i = 0; i < side * side / 16; i++) put(i & 0xffff, 16);
    for (let i = 0; i < 65536 * 5; i++) simple();
  });
  const error = await assertRejects(() => decode(bytes), ImageError);
  assertMatch(error.message, /its pixels take more than \d+ MiB to decode/);
  assertEquals(error.code, "too_large");
});

Deno.test("what libwebp gives up on is refused, not read from its memory", async () => {
  for (const { what, file, sha256 } of golden.good) {
    if (!what.startsWith("webp")) continue;
    const whole = Uint8Array.fromBase64(file);
    const view = new DataView(whole.buffer);
    let at = 12; // the chunk of pixels
    while (
      !/VP8[ L]/.test(String.fromCharCode(...whole.subarray(at, at + 4)))
    ) {
      at += 8 + view.getUint32(at + 4, true) + view.getUint32(at + 4, true) % 2;
    }
    const size = view.getUint32(at + 4, true);
    // Pixels cut, the lengths of chunk and file right.
    const cut = new Uint8Array(at + 8 + (size >> 2 << 1));
    cut.set(whole.subarray(0, cut.length));
    new DataView(cut.buffer).setUint32(4, cut.length - 8, true);
    new DataView(cut.buffer).setUint32(at + 4, cut.length - at - 8, true);
    const error = await assertRejects(() => decode(cut), ImageError);
    assertEquals(error.code, "damaged", what);
    const { data } = await decode(whole);
    const hash = await crypto.subtle.digest("SHA-256", data);
    assertEquals(new Uint8Array(hash).toHex(), sha256, what);
  }
});
