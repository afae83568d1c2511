/**
 * JPEG: markers are parsed here (ITU-T T.81, annex B); mozjpeg decodes the pixels,
 * with the same bytes as Pillow.
 * @module
 */
import makeMozjpeg from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import { codec } from "./codec.ts";
import type { DecodeRgba } from "./codec.ts";
import { exifOrientation } from "./exif.ts";
import { ImageError } from "./image.ts";
import type { Header } from "./image.ts";

/** Most scans of a file; each costs a pass over the samples of its components. */
const MOST_SCANS = 100;

/** Most samples of all scans together: ten scans of 50 megapixels, about a second. */
const MOST_SAMPLES = 500_000_000;

/** Frame header. */
interface Frame {
  readonly width: number;
  readonly height: number;
  /** Samples per pixel of each component, by its id. */
  readonly shares: ReadonlyMap<number, number>;
}

/** Parses the markers of a JPEG; throws `ImageError` where it is damaged or not supported. */
export function readJpegHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let orientation = 1;
  let size: Frame | undefined;
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
    checkScans(bytes, at - 2 - length, size);
    const { width, height } = size;
    return { width, height, orientation };
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

function readFrame(segment: Uint8Array): Frame {
  if (segment.length < 6) {
    throw new ImageError("damaged", "its frame header is cut");
  }
  const [precision, h1, h0, w1, w0, components] = segment;
  if (precision !== 8) {
    throw new ImageError(
      "unsupported",
      `it has ${precision}-bit samples; save it with 8 bits`,
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
  const told = Array.from({ length: components }, (_, i) => {
    const [id = 0, factors = 0x11] = segment.subarray(6 + 3 * i);
    return { id, samples: (factors >> 4) * (factors & 15) };
  });
  const most = Math.max(1, ...told.map(({ samples }) => samples));
  return {
    width: w1 << 8 | w0,
    height: h1 << 8 | h0,
    shares: new Map(told.map(({ id, samples }) => [id, samples / most])),
  };
}

/** Counts scans and samples, and requires the end marker: a truncated file would decode to grey below the cut. */
function checkScans(
  bytes: Uint8Array,
  from: number,
  { width, height, shares }: Frame,
) {
  let scans = 0, samples = 0;
  for (
    let at = bytes.indexOf(0xff, from);
    at >= 0;
    at = bytes.indexOf(0xff, at + 1)
  ) {
    const marker = bytes[at + 1];
    if (marker === 0xd9) return;
    if (marker !== 0xda) continue;
    const components = bytes.subarray(at + 5, at + 5 + 2 * (bytes[at + 4] & 3))
      .filter((_, i) => i % 2 === 0);
    for (const id of components) {
      samples += width * height * (shares.get(id) ?? 1);
    }
    if (samples > MOST_SAMPLES) {
      throw new ImageError(
        "too_large",
        `its scans have more than ${MOST_SAMPLES} samples together; save it with fewer scans, or smaller`,
      );
    }
    if (++scans > MOST_SCANS) {
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
  async make(options) {
    const mozjpeg = await makeMozjpeg(options);
    return { decode: (bytes) => mozjpeg.decode(bytes, false) };
  },
});
