/**
 * WebP: its container read here (RFC 9649, §2), its pixels by libwebp.
 * @module
 */
import decodeLibwebp, { init } from "@jsquash/webp/decode.js";
import { codec } from "./codec.ts";
import type { DecodeRgba } from "./codec.ts";
import { exifOrientation } from "./exif.ts";
import { ImageError } from "./image.ts";
import type { Header } from "./image.ts";

/** Reads the container of a WebP file; throws `ImageError` where it is damaged or animated. */
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
  wasm: () => import.meta.resolve("@jsquash/webp/codec/dec/webp_dec.wasm"),
  init,
  decode: (bytes) => decodeLibwebp(bytes),
});
