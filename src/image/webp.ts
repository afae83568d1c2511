/**
 * WebP: the container is parsed here (RFC 9649, §2); libwebp decodes the pixels.
 * @module
 */
import { codec } from "./codec.ts";
import type { DecodeRgba, RgbaPixels } from "./codec.ts";
import { exifOrientation } from "./exif.ts";
import { ImageError } from "./image.ts";
import type { Header } from "./image.ts";

/** Parses the container of a WebP file; throws `ImageError` where it is damaged or animated. */
export function readWebpHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length < 8 ? Infinity : 8 + view.getUint32(4, true);
  if (end > bytes.length) {
    throw new ImageError("truncated", "the file is truncated; copy it again");
  }
  let size: { width: number; height: number } | undefined;
  let orientation = 1;
  for (let at = 12; at + 8 <= end;) {
    const name = String.fromCharCode(...bytes.subarray(at, at + 4));
    const length = view.getUint32(at + 4, true);
    const chunk = bytes.subarray(at + 8, at + 8 + length);
    if (at + 8 + length > end) {
      throw new ImageError(
        "damaged",
        `its chunk ${JSON.stringify(name)} ends after the file`,
      );
    }
    size ??= readSize(name, chunk);
    if (name === "EXIF") orientation = exifOrientation(chunk);
    at += 8 + length + length % 2;
  }
  if (!size) throw new ImageError("damaged", "it has no picture");
  return { ...size, orientation };
}

function readSize(name: string, chunk: Uint8Array) {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const has = (n: number) => {
    if (chunk.length < n) throw new ImageError("damaged", "its header is cut");
  };
  switch (name) {
    case "VP8X":
      has(10);
      if (chunk[0] & 2) {
        throw new ImageError(
          "unsupported",
          "it is animated; save one frame of it",
        );
      }
      return {
        width: 1 + (view.getUint32(4, true) & 0xffffff),
        height: 1 + (view.getUint32(6, true) >>> 8),
      };
    case "VP8 ":
      has(10);
      return {
        width: view.getUint16(6, true) & 0x3fff,
        height: view.getUint16(8, true) & 0x3fff,
      };
    case "VP8L": {
      has(5);
      const bits = view.getUint32(1, true);
      return { width: 1 + (bits & 0x3fff), height: 1 + (bits >>> 14 & 0x3fff) };
    }
  }
}

/** RGBA pixels of a WebP file whose header has been read. */
export const decodeWebp: DecodeRgba = codec({
  wasm: () => import.meta.resolve("wasm-webp/dist/esm/webp-wasm.wasm"),
  async make(options, memory) {
    // Loaded for the first WebP only; most photos are JPEG.
    const { default: makeLibwebp } = await import(
      "wasm-webp/dist/esm/webp-wasm.js"
    );
    const libwebp = await makeLibwebp(options);
    const version = libwebp.decoder_version();
    if (!isNew(version)) throw new Error(`libwebp ${version} is not safe`);
    return {
      decode: (bytes) => pixelsOf(() => libwebp.decodeRGBA(bytes), memory),
    };
  },
});

/**
 * The result of `decode`; undefined where it failed. The package does not check
 * libwebp's result: after a failure (null) it copies "pixels" from address 0. Nothing
 * else is stored there, so two different markers written there reveal the failure.
 */
function pixelsOf(
  decode: () => RgbaPixels,
  memory: () => Uint8Array,
): RgbaPixels | undefined {
  const marked = (mark: number) => {
    memory().fill(mark, 0, MARKED);
    const pixels = decode();
    for (let i = 0; i < MARKED && i < pixels.data.length; i++) {
      if (pixels.data[i] !== mark) return pixels;
    }
    return undefined;
  };
  return marked(0x5a) ?? marked(0xa5); // a picture can equal one marker, not both
}

/** Bytes of the marker; the linker leaves the first 1024 free. */
const MARKED = 16;

/** Whether a libwebp has the fixed Huffman tables of 1.3.2 (CVE-2023-4863). */
export function isNew(version: string): boolean {
  const [a, b, c] = version.split(".").map(Number);
  return (a * 256 + b) * 256 + c >= 0x10302;
}
