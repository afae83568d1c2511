import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { toFileUrl } from "@std/path";
import { createHash } from "node:crypto";
import { deflateSync } from "node:zlib";
import { random, uniform } from "../tensor/random.ts";
import { codec } from "./codec.ts";
import { decode } from "./decode.ts";
import { ImageError } from "./image.ts";
import golden from "./decode_golden.json" with { type: "json" };

const sha256 = (bytes: Uint8Array) =>
  createHash("sha256").update(bytes).digest("hex");
const file = (case_: { file: string }) => Uint8Array.fromBase64(case_.file);
const good = (what: string) => file(golden.good.find((c) => c.what === what)!);
const text = (s: string) => new TextEncoder().encode(s);

async function refused(bytes: Uint8Array, name = "x"): Promise<ImageError> {
  const error = await assertRejects(() => decode(bytes, { name }), ImageError);
  assertMatch(
    error.message,
    /^Cannot decode "x": it (is|has|begins)|^Cannot decode "x": (the|its) /,
  );
  assert(
    !error.message.includes("\n") && error.message.length < 200,
    error.message,
  );
  return error;
}

/** The start of a PNG of any claimed size, with `data` as its pixels. */
function png(
  width: number,
  height: number,
  data: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const chunk = (name: string, body: Uint8Array) => {
    const bytes = new Uint8Array(12 + body.length);
    new DataView(bytes.buffer).setUint32(0, body.length);
    bytes.set(text(name), 4);
    bytes.set(body, 8);
    new DataView(bytes.buffer).setUint32(
      8 + body.length,
      crc32(bytes.subarray(4, 8 + body.length)),
    );
    return bytes;
  };
  const header = new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0]);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  const magic = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10);
  const parts = [
    magic,
    chunk("IHDR", header),
    chunk("IDAT", data),
    chunk("IEND", new Uint8Array(0)),
  ];
  return Uint8Array.from(parts.flatMap((p) => [...p]));
}
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc >>> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

Deno.test("pixels equal Pillow's for every kind of file", async () => {
  for (const { what, width, height, sha256: want, file } of golden.good) {
    const image = await decode(Uint8Array.fromBase64(file));
    assertEquals([image.width, image.height], [width, height], what);
    assertEquals(sha256(image.data), want, what);
  }
});

Deno.test("kinds and variants that are not read are named", async () => {
  for (const case_ of golden.bad) {
    const error = await refused(file(case_));
    assertEquals(error.code, case_.code, `${case_.what}: ${error.message}`);
  }
  assertMatch(
    (await refused(file(golden.bad[0]))).message,
    /CMYK.*save it as RGB/,
  );
  assertMatch(
    (await refused(text("hello, I am a text file"))).message,
    /begins with "hello, I"/,
  );
  assertEquals((await refused(new Uint8Array(0))).code, "unknown_kind");
});

Deno.test("16-bit grey keeps its upper byte", async () => {
  const bytes = png(
    2,
    1,
    deflateSync(Uint8Array.of(0, 0x12, 0x34, 0xff, 0x01)),
  );
  bytes[24] = 16; // depth
  new DataView(bytes.buffer).setUint32(29, crc32(bytes.subarray(12, 29)));
  assertEquals([...(await decode(bytes)).data], [
    0x12,
    0x12,
    0x12,
    0xff,
    0xff,
    0xff,
  ]);
});

Deno.test("limits are checked before a pixel is decoded, at the limit and one beyond", async () => {
  const zeros = deflateSync(new Uint8Array(100));
  const huge = await refused(png(30_000, 30_000, zeros));
  assertEquals(
    huge.message,
    'Cannot decode "x": it has 30000 × 30000 pixels, at most 50000000 are allowed; make it smaller first',
  );
  const header = await refused(png(30_000, 30_000, zeros).subarray(0, 33)); // IHDR alone
  assertMatch(header.message, /30000 × 30000 pixels/);
  for (
    const [w, h] of [[2 ** 31 - 1, 2 ** 31 - 1], [2 ** 32 - 1, 2 ** 32 - 1], [
      50_000_001,
      1,
    ]]
  ) {
    assertEquals((await refused(png(w, h, zeros))).code, "too_large");
  }
  assertEquals((await refused(png(0, 5, zeros))).code, "damaged");
  assertEquals((await refused(png(201, 1, zeros))).code, "too_large");
  assertEquals((await refused(png(1, 201, zeros))).code, "too_large");
  const strip = await decode(png(200, 1, deflateSync(new Uint8Array(201))));
  assertEquals(strip.width, 200);
  const bytes = good("png RGB 8");
  const limits = (fileBytes: number, pixels: number) =>
    decode(bytes, { limits: { fileBytes, pixels } });
  assertEquals((await limits(bytes.length, 19 * 11)).width, 19);
  await assertRejects(
    () => limits(bytes.length - 1, 19 * 11),
    ImageError,
    `at most ${bytes.length - 1}`,
  );
  await assertRejects(
    () => limits(bytes.length, 19 * 11 - 1),
    ImageError,
    "at most 208",
  );
});

Deno.test("a PNG that inflates to more than its header says is stopped", async () => {
  const bomb = deflateSync(new Uint8Array(50_000_000));
  const error = await refused(png(10, 10, bomb));
  assertEquals(error.code, "damaged");
});

Deno.test("a picture cut anywhere is refused", async () => {
  for (
    const what of [
      "png RGB 8",
      "png palette 2 interlaced",
      "jpeg progressive",
      "jpeg 4:2:0",
      "webp lossy",
      "webp lossless",
    ]
  ) {
    const bytes = good(what);
    for (
      let n = 0;
      n < bytes.length;
      n += 1 + Math.floor(bytes.length / 150)
    ) await refused(bytes.slice(0, n));
  }
});

Deno.test("a decoder that could not be read, or not be started, is tried again", async () => {
  let starts = 0;
  const pixels = new ImageData(1, 1), file = await Deno.makeTempFile();
  await Deno.writeFile(file, Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
  const decoder = codec({
    wasm: () => {
      if (++starts === 1) throw new Error("no such file");
      return toFileUrl(file).href;
    },
    make: () =>
      starts === 2
        ? Promise.reject(new RangeError("no memory"))
        : Promise.resolve({ decode: () => pixels }),
  });
  const decode = (bytes: Uint8Array) => decoder(bytes, pixels);
  const bytes = new Uint8Array(1);
  await assertRejects(() => decode(bytes), Error, "no such file");
  await assertRejects(() => decode(bytes), RangeError, "no memory");
  for (let i = 0; i < 2; i++) assertEquals(await decode(bytes), pixels);
  assertEquals(starts, 3);
  await Deno.remove(file);
});

Deno.test("damaged pictures do not affect the pictures after them", async () => {
  const next = random(23);
  const below = (n: number) => Math.floor(uniform(next) * n);
  for (
    const what of [
      "jpeg 4:2:0",
      "jpeg progressive",
      "webp lossy with alpha",
      "webp lossless",
      "png palette 4",
      "png RGBA 16",
    ]
  ) {
    const { width, height, sha256: want } = golden.good.find((c) =>
      c.what === what
    )!;
    for (let i = 0; i < 150; i++) {
      const bytes = good(what);
      for (let k = 0, n = 1 + below(4); k < n; k++) {
        bytes[below(bytes.length)] = below(256);
      }
      try {
        await decode(bytes);
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
      }
      if (i % 10 > 0) continue;
      const image = await decode(good(what));
      assertEquals([image.width, image.height, sha256(image.data)], [
        width,
        height,
        want,
      ], `${what} after ${i}`);
    }
  }
});
