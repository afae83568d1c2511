/**
 * PNG decoder (W3C PNG, third edition). It is small, and its memory does not depend on
 * unchecked header values. The bytes equal those of PIL's convert("RGB"), except for
 * 16-bit grey: PIL clips it at 255; here its upper byte is used, as for 16-bit colour.
 * @module
 */
import { exifOrientation } from "./exif.ts";
import { checkSize, ImageError } from "./image.ts";
import type { Header, Image, ImageLimits } from "./image.ts";
import { inflate } from "./inflate.ts";
import { unfilter } from "./png_filter.ts";

/** A PNG's header and where its data lie. */
export interface Png extends Header {
  /** Bits per sample: 1, 2, 4, 8 or 16. */
  readonly depth: number;
  /** Colour type: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA. */
  readonly color: number;
  /** Rows in seven passes (Adam7). */
  readonly interlaced: boolean;
  /** RGB of each palette entry. */
  readonly palette: Uint8Array;
  /** The compressed pixels, by chunk. */
  readonly data: readonly Uint8Array[];
}

const CHANNELS: Readonly<Record<number, number>> = {
  0: 1,
  2: 3,
  3: 1,
  4: 2,
  6: 4,
};
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
/** Most chunks of a file; pixel chunks of 8 KiB are common. */
const MOST_CHUNKS = 65_536;

/** Adam7: x start, y start, x step, y step of each pass. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

/** Reads the chunks of a PNG, its size checked before anything behind the header; throws `ImageError`. */
export function readPng(bytes: Uint8Array, limits: ImageLimits): Png {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let header: Omit<Png, "palette" | "data" | "orientation"> | undefined;
  let palette = new Uint8Array(0);
  let orientation = 1;
  const data: Uint8Array[] = [];
  for (let at = 8, chunks = 0; at < bytes.length; chunks++) {
    if (chunks === MOST_CHUNKS) {
      throw new ImageError(
        "too_large",
        `it has more than ${MOST_CHUNKS} chunks; save it again`,
      );
    }
    if (at + 12 > bytes.length) break;
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.length) break;
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const chunk = bytes.subarray(at + 8, at + 8 + length);
    if (!header && name !== "IHDR") {
      throw new ImageError("damaged", "it does not begin with IHDR");
    }
    const again = name === "IHDR" ? header !== undefined : palette.length > 0;
    if ((name === "IHDR" || name === "PLTE") && again) {
      throw new ImageError("damaged", `it has two chunks ${name}`);
    }
    if (name === "IHDR" && length !== 13) {
      throw new ImageError(
        "damaged",
        `its header has ${length} bytes, not 13`,
      );
    }
    if (name === "PLTE" && length > 768) {
      throw new ImageError("damaged", `its palette has ${length} bytes`);
    }
    const checked = name === "IHDR" || name === "PLTE"; // pixels have Adler-32
    if (
      checked &&
      crc32(bytes.subarray(at + 4, at + 8 + length)) !==
        view.getUint32(at + 8 + length)
    ) {
      throw new ImageError(
        "damaged",
        `the checksum of ${name} is wrong; copy it again`,
      );
    }
    if (name === "IHDR") {
      header = readHeader(chunk);
      checkSize(header.width, header.height, limits);
    } else if (name === "PLTE") palette = chunk.slice();
    else if (name === "IDAT") length > 0 && data.push(chunk);
    else if (name === "eXIf") orientation = exifOrientation(chunk);
    else if (name === "IEND") {
      if (data.length === 0) {
        throw new ImageError("damaged", "it has no pixels");
      }
      return { ...header!, palette, data, orientation };
    }
    at += 12 + length;
  }
  throw new ImageError("truncated", "the file is truncated; copy it again");
}

function readHeader(chunk: Uint8Array) {
  const bad = (what: string) =>
    new ImageError("damaged", `its header has ${what}`);
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const [depth, color, compression, filter, interlace] = chunk.subarray(8);
  if (!DEPTHS[color]?.includes(depth)) {
    throw bad(`colour type ${color} of ${depth} bits`);
  }
  if (compression !== 0 || filter !== 0 || interlace > 1) {
    throw bad(`method ${compression}, ${filter}, ${interlace}`);
  }
  return {
    width: view.getUint32(0),
    height: view.getUint32(4),
    depth,
    color,
    interlaced: interlace === 1,
  };
}

/** Pixels of a PNG whose size has been checked; throws `ImageError`. */
export async function decodePng(png: Png): Promise<Image> {
  const { width, height, depth, color } = png;
  if (
    color === 3 && (png.palette.length === 0 || png.palette.length % 3 !== 0)
  ) {
    throw new ImageError(
      "damaged",
      `its palette has ${png.palette.length} bytes`,
    );
  }
  const bits = depth * CHANNELS[color];
  const passes = (png.interlaced ? PASSES : [[0, 0, 1, 1]])
    .map(([x, y, dx, dy]) => ({
      x,
      y,
      dx,
      dy,
      columns: Math.ceil((width - x) / dx),
      rows: Math.ceil((height - y) / dy),
    }))
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
  const rowBytes = (columns: number) => Math.ceil(columns * bits / 8);
  const raw = await inflated(
    png.data,
    passes.reduce((sum, p) => sum + p.rows * (1 + rowBytes(p.columns)), 0),
  );
  const out = new Uint8Array(width * height * 3);
  const paint = painter(png);
  let at = 0;
  for (const { x, y, dx, dy, columns, rows } of passes) {
    const bytes = rowBytes(columns);
    unfilter(raw, at, rows, bytes, Math.max(1, bits >> 3));
    for (let row = 0; row < rows; row++, at += bytes + 1) {
      paint(
        raw,
        at + 1,
        columns,
        out,
        ((y + row * dy) * width + x) * 3,
        dx * 3,
      );
    }
  }
  return { width, height, data: out };
}

/** Largest compression ratio of deflate (RFC 1951: 258 bytes in two bits). */
const MOST_PACKED = 1032;

/** Milliseconds between two yields to the event loop. */
const TURN_MS = 20;

/** Inflates zlib data to exactly `size` bytes. */
async function inflated(
  pieces: readonly Uint8Array[],
  size: number,
): Promise<Uint8Array> {
  const packed = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (size > packed * MOST_PACKED) throw endsEarly(); // do not allocate for an impossible size
  const out = new Uint8Array(size), work = inflate(pieces, out);
  let step = work.next();
  for (let begun = performance.now(); !step.done; step = work.next()) {
    if (performance.now() - begun < TURN_MS) continue;
    await new Promise((turn) => setTimeout(turn));
    begun = performance.now();
  }
  if (step.value === "short") throw endsEarly();
  if (step.value === "whole") return out;
  throw new ImageError(
    "damaged",
    "its pixels cannot be decoded; copy it again",
  );
}

function endsEarly(): ImageError {
  return new ImageError("truncated", "its pixels end early; copy it again");
}

/** Writes one unfiltered row of samples as RGB, every `step` bytes from `o` on. */
type Paint = (
  row: Uint8Array,
  at: number,
  columns: number,
  out: Uint8Array,
  o: number,
  step: number,
) => void;

function painter({ depth, color, palette }: Png): Paint {
  if (color !== 3 && depth >= 8) {
    const sample = depth >> 3; // of 16 bits the upper byte counts
    const stride = sample * CHANNELS[color];
    const [g, b] = color & 2 ? [sample, 2 * sample] : [0, 0];
    return (row, at, columns, out, o, step) => {
      for (let i = 0; i < columns; i++, at += stride, o += step) {
        out[o] = row[at];
        out[o + 1] = row[at + g];
        out[o + 2] = row[at + b];
      }
    };
  }
  const most = 2 ** depth - 1;
  // RGB of each sample value; beyond a short palette it is black, as in PIL.
  const table = new Uint8Array((most + 1) * 3);
  if (color === 3) table.set(palette.subarray(0, table.length));
  else {for (let v = 0; v <= most; v++) {
      table.fill(v * 255 / most, v * 3, v * 3 + 3);
    }}
  return (row, at, columns, out, o, step) => {
    for (let i = 0; i < columns; i++, o += step) {
      const bit = i * depth;
      const v = row[at + (bit >> 3)] >> (8 - depth - (bit & 7)) & most;
      out[o] = table[v * 3];
      out[o + 1] = table[v * 3 + 1];
      out[o + 2] = table[v * 3 + 2];
    }
  };
}

/** CRC of a chunk's name and data (annex D). */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc >>> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
