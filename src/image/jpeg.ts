/**
 * JPEG: its markers read here (ITU-T T.81, annex B), its pixels by mozjpeg,
 * which gives the bytes Pillow gives.
 * @module
 */
import decodeMozjpeg, { init } from "@jsquash/jpeg/decode.js";
import { codec } from "./codec.ts";
import type { DecodeRgba } from "./codec.ts";
import { exifOrientation } from "./exif.ts";
import { ImageError } from "./image.ts";
import type { Header } from "./image.ts";

/** Scans of a progressive file; each costs a pass over all pixels. */
const MOST_SCANS = 100;

/** Reads the markers of a JPEG; throws `ImageError` where it is damaged or of a kind not read. */
export function readJpegHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let orientation = 1;
  let size: { width: number; height: number } | undefined;
  for (let at = 2;;) {
    if (at + 4 > bytes.length) throw truncated();
    if (bytes[at] !== 0xff) {
      throw new ImageError("damaged", `it has no marker at byte ${at}`);
    }
    const marker = bytes[at + 1];
    if (marker === 0xff) { // fill byte
      at++;
      continue;
    }
    const length = view.getUint16(at + 2);
    if (length < 2) {
      throw new ImageError(
        "damaged",
        `the segment at byte ${at} has length ${length}`,
      );
    }
    const segment = bytes.subarray(at + 4, at + 2 + length);
    if (at + 2 + length > bytes.length) throw truncated();
    if (isFrame(marker)) {
      if (size) throw new ImageError("damaged", "it has two frames");
      size = readFrame(segment);
    }
    if (marker === 0xe1 && isExif(segment) && orientation === 1) {
      orientation = exifOrientation(segment.subarray(6));
    }
    at += 2 + length;
    if (marker !== 0xda) continue; // SOS: pixels follow
    if (!size) {
      throw new ImageError("damaged", "its pixels come before its size");
    }
    checkScans(bytes, at);
    return { ...size, orientation };
  }
}

function truncated(): ImageError {
  return new ImageError("truncated", "the file is truncated; copy it again");
}

/** SOF0 to SOF15, without DHT, JPG and DAC, which share the range. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf &&
    ![0xc4, 0xc8, 0xcc].includes(marker);
}

function isExif(segment: Uint8Array): boolean {
  return String.fromCharCode(...segment.subarray(0, 6)) === "Exif\0\0";
}

function readFrame(segment: Uint8Array) {
  if (segment.length < 6) {
    throw new ImageError("damaged", "its frame header is cut");
  }
  const [precision, h1, h0, w1, w0, components] = segment;
  if (precision !== 8) {
    throw new ImageError(
      "unsupported",
      `it has ${precision}-bit samples; save it with 8`,
    );
  }
  if (components !== 1 && components !== 3) {
    throw new ImageError(
      "unsupported",
      `it has ${components} colour components${
        components === 4 ? " (CMYK)" : ""
      }; save it as RGB`,
    );
  }
  return { width: w1 << 8 | w0, height: h1 << 8 | h0 };
}

/** Counts scans and asks for an end: a cut file would decode to grey below the cut. */
function checkScans(bytes: Uint8Array, from: number) {
  let scans = 1;
  for (
    let at = bytes.indexOf(0xff, from);
    at >= 0;
    at = bytes.indexOf(0xff, at + 1)
  ) {
    const marker = bytes[at + 1];
    if (marker === 0xd9) return;
    if (marker === 0xda && ++scans > MOST_SCANS) {
      throw new ImageError(
        "too_large",
        `it has more than ${MOST_SCANS} scans; save it again`,
      );
    }
  }
  throw truncated();
}

/** RGBA pixels of a JPEG whose header has been read. */
export const decodeJpeg: DecodeRgba = codec({
  wasm: () => import.meta.resolve("@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm"),
  init,
  decode: (bytes) => decodeMozjpeg(bytes),
});
