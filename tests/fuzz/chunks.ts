/**
 * Splits images into chunks, so that damage passes the first checks: PNG chunks with
 * correct checksums, JPEG segments and WebP chunks with correct lengths.
 * @module
 */
import { type Bytes, type Draw, joined, mutateBytes, pick } from "./mutate.ts";

/** How to take a file apart and put it together. */
interface Parts {
  split(file: Uint8Array): Uint8Array[];
  join(parts: readonly Uint8Array[]): Bytes;
}

/** Damages a picture: whole pieces, one piece inside, or any bytes. */
export function mutatePicture(draw: Draw, file: Uint8Array): Bytes {
  const format = formatOf(file);
  if (!format || draw(3) === 0) return mutateBytes(draw, file);
  const parts = format.split(file);
  for (let n = 1 + draw(2); n > 0; n--) {
    const at = draw(parts.length);
    switch (draw(5)) {
      case 0:
        parts.splice(at, 1);
        break;
      case 1:
        parts.splice(at, 0, pick(draw, parts));
        break;
      case 2:
        parts.push(...parts.splice(at, 1));
        break;
      default:
        parts[at] = mutateBytes(draw, parts[at]);
    }
    if (parts.length === 0) return mutateBytes(draw, file);
  }
  return format.join(parts);
}

function formatOf(file: Uint8Array): Parts | undefined {
  if (file[0] === 0x89) return PNG;
  if (file[0] === 0xff) return JPEG;
  return file[0] === 0x52 ? WEBP : undefined;
}

const view = (b: Uint8Array) => new DataView(b.buffer, b.byteOffset, b.length);
const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);

/** A chunk without length and checksum: its name and its data. */
const PNG: Parts = {
  split(file) {
    const parts: Uint8Array[] = [];
    for (let at = 8; at + 12 <= file.length;) {
      const length = view(file).getUint32(at);
      parts.push(file.slice(at + 4, at + 8 + length));
      at += 12 + length;
    }
    return parts;
  },
  join: (parts) => joined(SIGNATURE, ...parts.map(pngChunk)),
};

/** A PNG chunk of name and data, with length and checksum. */
export function pngChunk(part: Uint8Array): Bytes {
  const out = new Uint8Array(part.length + 8);
  view(out).setUint32(0, Math.max(0, part.length - 4));
  out.set(part, 4);
  view(out).setUint32(part.length + 4, crc32(part));
  return out;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? n >>> 1 ^ 0xedb88320 : n >>> 1;
  return n;
});

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) crc = crc >>> 8 ^ TABLE[(crc ^ byte) & 255];
  return ~crc >>> 0;
}

/** A segment without its length: marker and data; the last one is scan and pixels. */
const JPEG: Parts = {
  split(file) {
    const parts: Uint8Array[] = [];
    for (let at = 2; at + 4 <= file.length;) {
      if (file[at + 1] === 0xda) {
        parts.push(file.slice(at));
        break;
      }
      const end = at + 2 + view(file).getUint16(at + 2);
      parts.push(joined(file.subarray(at, at + 2), file.subarray(at + 4, end)));
      at = end;
    }
    return parts;
  },
  join: (parts) =>
    joined(
      Uint8Array.of(0xff, 0xd8),
      ...parts.map((part) => {
        if (part[1] === 0xda) return part;
        const length = part.length & 0xffff;
        return joined(
          part.subarray(0, 2),
          Uint8Array.of(length >> 8, length & 255),
          part.subarray(2),
        );
      }),
    ),
};

/** A chunk without its length: name and data. */
const WEBP: Parts = {
  split(file) {
    const parts: Uint8Array[] = [];
    for (let at = 12; at + 8 <= file.length;) {
      const length = view(file).getUint32(at + 4, true);
      const data = file.subarray(at + 8, at + 8 + length);
      parts.push(joined(file.subarray(at, at + 4), data));
      at += 8 + length + length % 2;
    }
    return parts;
  },
  join(parts) {
    const body = joined(...parts.map((part) => {
      const length = Math.max(0, part.length - 4);
      const out = new Uint8Array(8 + length + length % 2);
      out.set(part.subarray(0, 4));
      view(out).setUint32(4, length, true);
      out.set(part.subarray(4), 8);
      return out;
    }));
    const head = new Uint8Array(12);
    head.set(new TextEncoder().encode("RIFF"));
    view(head).setUint32(4, body.length + 4, true);
    head.set(new TextEncoder().encode("WEBP"), 8);
    return joined(head, body);
  },
};
