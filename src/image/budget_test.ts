/** Small files that would take a decoder long. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { crc32, deflateSync } from "node:zlib";
import { decode } from "./decode.ts";
import { ImageError } from "./image.ts";
import { readJpegHeader } from "./jpeg.ts";

async function refused(bytes: Uint8Array): Promise<ImageError> {
  const begun = performance.now();
  const error = await assertRejects(() => decode(bytes), ImageError);
  assert(performance.now() - begun < 2000, error.message);
  return error;
}

/** A grey progressive JPEG of `side` × `side` pixels with so many scans, empty ones. */
function jpeg(side: number, scans: number): Uint8Array {
  const segment = (marker: number, ...data: number[]) => [
    ...[0xff, marker, data.length + 2 >> 8, data.length + 2 & 255],
    ...data,
  ];
  const s = [side >> 8, side & 255];
  return Uint8Array.from([
    ...[0xff, 0xd8],
    ...segment(0xc2, 8, ...s, ...s, 1, 1, 0x11, 0),
    ...Array.from({ length: scans }, () => segment(0xda, 1, 1, 0, 0, 0, 0))
      .flat(),
    ...[0xff, 0xd9],
  ]);
}

Deno.test("scans times pixels of a JPEG are bounded, at the limit and one beyond", async () => {
  assertEquals(readJpegHeader(jpeg(7071, 10)).width, 7071); // 499,990,410 samples
  const error = await refused(jpeg(7071, 11));
  assertMatch(error.message, /more than 500000000 samples together/);
  assertEquals(error.code, "too_large");
  assertEquals(readJpegHeader(jpeg(1000, 100)).width, 1000);
  assertMatch((await refused(jpeg(1000, 101))).message, /more than 100 scans/);
});

const chunk = (name: string, body: Uint8Array) => {
  const bytes = new Uint8Array(12 + body.length),
    view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)));
  return bytes;
};
const MAGIC = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10);
const HEADER = chunk(
  "IHDR",
  Uint8Array.of(0, 0, 0, 8, 0, 0, 0, 8, 8, 2, 0, 0, 0),
);
const PIXELS = deflateSync(new Uint8Array(8 * 25));
const END = chunk("IEND", new Uint8Array(0));

const png = (...parts: readonly Uint8Array[]) => {
  const bytes = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) bytes.set(part, at), at += part.length;
  return bytes;
};

Deno.test("a PNG's chunks are bounded: second headers, empty ones, blocks of nothing", async () => {
  const data = chunk("IDAT", PIXELS), empty = chunk("IDAT", new Uint8Array(0));
  const large = chunk("IHDR", new Uint8Array(1 << 20));
  const two = await refused(png(MAGIC, HEADER, large, data, END));
  assertMatch(two.message, /it has two chunks IHDR/);
  const palette = chunk("PLTE", new Uint8Array(3));
  const twice = await refused(png(MAGIC, HEADER, palette, palette, data, END));
  assertMatch(twice.message, /it has two chunks PLTE/);
  const fits = Array<Uint8Array>(65_533).fill(empty);
  assertEquals((await decode(png(MAGIC, HEADER, ...fits, data, END))).width, 8);
  const many = await refused(png(MAGIC, HEADER, ...fits, empty, data, END));
  assertMatch(many.message, /more than 65536 chunks/);
  const blocks = new Uint8Array(2 + 5 * 200_000 + PIXELS.length - 2);
  blocks.set(PIXELS.subarray(0, 2));
  for (let i = 0; i < 200_000; i++) blocks.set([0, 0, 0, 255, 255], 2 + 5 * i);
  blocks.set(PIXELS.subarray(2), 2 + 5 * 200_000);
  const slow = await refused(png(MAGIC, HEADER, chunk("IDAT", blocks), END));
  assertEquals(slow.code, "damaged");
});
