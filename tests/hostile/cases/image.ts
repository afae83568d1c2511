/** Pictures that are none, are too much, or lie. */
import { deflateSync } from "node:zlib";
import golden from "../../../src/image/decode_golden.json" with {
  type: "json",
};
import { pngChunk } from "../../fuzz/chunks.ts";
import { joined } from "../../fuzz/mutate.ts";
import { bytesOf, type Case } from "./case.ts";

const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
const chunk = (name: string, data: Uint8Array = new Uint8Array(0)) =>
  pngChunk(joined(bytesOf(name), data));

/** A PNG header. */
function ihdr(width: number, height: number, depth = 8, color = 2): Uint8Array {
  const data = new Uint8Array(13), view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data.set([depth, color], 8);
  return chunk("IHDR", data);
}

const zeros = (n: number) => new Uint8Array(deflateSync(new Uint8Array(n)));

/** A PNG of a claimed size with so many bytes of zeros in it. */
const png = (
  width: number,
  height: number,
  { depth = 8, color = 2, bytes = 100, more = [] as Uint8Array[] } = {},
) =>
  joined(
    SIGNATURE,
    ihdr(width, height, depth, color),
    ...more,
    chunk("IDAT", zeros(bytes)),
    chunk("IEND"),
  );

const good = (what: string) =>
  Uint8Array.fromBase64(golden.good.find((g) => g.what.startsWith(what))!.file);

/** A good JPEG with 16 bits of its frame header replaced: height at 3, width at 5. */
function jpeg(at: number, value: number): Uint8Array {
  const bytes = good("jpeg").slice();
  const frame = bytes.findIndex((b, i) => b === 0xff && bytes[i + 1] === 0xc0);
  new DataView(bytes.buffer).setUint16(frame + 2 + at, value);
  return bytes;
}

/** A JPEG with `segment` put behind its first marker. */
const jpegWith = (...segment: number[]) =>
  joined(
    good("jpeg").subarray(0, 2),
    Uint8Array.from(segment),
    good("jpeg").subarray(2),
  );

/** A JPEG with so many scans more. */
function scans(n: number): Uint8Array {
  const bytes = good("jpeg progressive"), end = bytes.length - 2;
  const scan = Uint8Array.of(0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0);
  return joined(
    bytes.subarray(0, end),
    ...Array.from({ length: n }, () => scan),
    bytes.subarray(end),
  );
}

function webp(at: number, value: number): Uint8Array {
  const bytes = good("webp lossy").slice();
  new DataView(bytes.buffer).setUint32(at, value, true);
  return bytes;
}

/** Chunks and segments that carry nothing but weight. */
const ballast = (name: string) => chunk(name, new Uint8Array(60_000));
const animated = chunk("acTL", Uint8Array.of(0, 0, 255, 255, 0, 0, 0, 0));

/** Pictures. */
export const IMAGE: readonly Case[] = [
  ["unknown_kind", "nothing", new Uint8Array(0)],
  ["unknown_kind", "text", bytesOf("hello, I am a text file")],
  [
    "unknown_kind",
    "a page",
    bytesOf("<svg xmlns='http://www.w3.org/2000/svg'/>"),
  ],
  ["unsupported", "a GIF", bytesOf("GIF89a\u0001\u0000\u0001\u0000")],
  ["unsupported", "a PDF", bytesOf("%PDF-1.7")],
  [
    "too_large",
    "30000 × 30000 of one bit",
    png(30_000, 30_000, { depth: 1, color: 0, bytes: 1_000_000 }),
  ],
  ["too_large", "16000 × 16000", png(16_000, 16_000, { bytes: 1_000_000 })],
  ["too_large", "a side of 2^31 − 1", png(2 ** 31 - 1, 2 ** 31 - 1)],
  ["too_large", "a side of 2^32 − 1", png(2 ** 32 - 1, 2 ** 32 - 1)],
  ["too_large", "1 × 2^31", png(1, 2 ** 31)],
  ["too_large", "2^31 × 1", png(2 ** 31, 1)],
  ["too_large", "201 × 1", png(201, 1)],
  [
    "too_large",
    "30000 × 30000, the header alone",
    png(30_000, 30_000).slice(0, 33),
  ],
  [
    "too_large",
    "an animation of 30000 × 30000",
    png(30_000, 30_000, { more: [animated] }),
  ],
  [
    "too_large",
    "30000 × 30000 with a colour profile",
    png(30_000, 30_000, { more: [ballast("iCCP")] }),
  ],
  [
    "too_large",
    "30000 × 30000 with notes",
    png(30_000, 30_000, { more: [ballast("eXIf")] }),
  ],
  ["too_large", "a JPEG of ten thousand scans", scans(10_000)],
  ["damaged", "0 × 5", png(0, 5)],
  [
    "damaged",
    "a zlib bomb in a small picture",
    png(10, 10, { bytes: 50_000_000 }),
  ],
  [
    "damaged",
    "a palette of 64 kB",
    png(4, 4, {
      color: 3,
      bytes: 20,
      more: [chunk("PLTE", new Uint8Array(65_535))],
    }),
  ],
  ["damaged", "no palette", png(4, 4, { color: 3 })],
  [
    "damaged",
    "a palette of two bytes",
    png(4, 4, { color: 3, more: [chunk("PLTE", new Uint8Array(2))] }),
  ],
  ["damaged", "colour type 5", png(4, 4, { color: 5 })],
  [
    "damaged",
    "two frames",
    jpegWith(
      ...good("jpeg").subarray(
        good("jpeg").findIndex((b, i, a) => b === 0xff && a[i + 1] === 0xc0),
      ).subarray(0, 19),
    ),
  ],
  [
    "damaged",
    "a header of three bytes",
    joined(SIGNATURE, chunk("IHDR", new Uint8Array(3)), chunk("IEND")),
  ],
  [
    "damaged",
    "pixels before the header",
    joined(SIGNATURE, chunk("IDAT", zeros(9)), chunk("IEND")),
  ],
  ["damaged", "no pixels", joined(SIGNATURE, ihdr(1, 1), chunk("IEND"))],
  ["truncated", "no end", png(4, 4).slice(0, -12)],
  ["truncated", "pixels that end early", png(20, 20, { bytes: 100 })],
  [
    "truncated",
    "more pixels than its bytes can hold",
    png(1000, 1000, { bytes: 10 }),
  ],
  ["damaged", "a wrong checksum of the header", png(4, 4).fill(0, 29, 33)],
  [
    "too_large",
    "a JPEG of 65500 × 65500",
    (() => {
      const b = jpeg(3, 65_500);
      const f = b.findIndex((x, i) => x === 0xff && b[i + 1] === 0xc0);
      new DataView(b.buffer).setUint16(f + 7, 65_500);
      return b;
    })(),
  ],
  ["damaged", "a JPEG of no height", jpeg(3, 0)],
  ["too_large", "a JPEG of a thousand scans", scans(1000)],
  ["damaged", "a JPEG segment of length 0", jpegWith(0xff, 0xe1, 0, 0)],
  [
    "damaged",
    "a JPEG without markers",
    Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 1, 2, 3, 4, 5, 6),
  ],
  ["truncated", "a JPEG that ends in its pixels", good("jpeg").slice(0, -20)],
  [
    "truncated",
    "a JPEG segment beyond its end",
    jpegWith(0xff, 0xe2, 0xff, 0xff).slice(0, 30),
  ],
  ["damaged", "a WebP chunk beyond its end", webp(16, 2 ** 32 - 1)],
  ["truncated", "a WebP longer than its file", webp(4, 2 ** 32 - 1)],
  [
    "damaged",
    "a WebP of no picture",
    joined(bytesOf("RIFF"), Uint8Array.of(4, 0, 0, 0), bytesOf("WEBP")),
  ],
];
