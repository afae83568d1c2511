/**
 * Decodes a file's bytes to upright RGB pixels. The first bytes of the file decide
 * its format, not its name. The size in the header is checked before decoding.
 * @module
 */
import { type DecodeRgba, rgbOf } from "./codec.ts";
import { upright } from "./exif.ts";
import { checkSize, IMAGE_LIMITS, ImageError } from "./image.ts";
import type { Header, Image, ImageLimits } from "./image.ts";
import { decodeJpeg, readJpegHeader } from "./jpeg.ts";
import { decodePng, readPng } from "./png.ts";
import { decodeWebp, readWebpHeader } from "./webp.ts";

/** Options of decoding. */
export interface DecodeImageOptions {
  /** Name of the file in messages; a base name, never a path. */
  readonly name?: string;
  /** Limits; default `IMAGE_LIMITS`. */
  readonly limits?: Partial<ImageLimits>;
}

/** First bytes, as Latin-1 text; a dot matches any byte. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/^\xff\xd8\xff/, "jpeg"],
  [/^\x89PNG\r\n/, "png"],
  [/^RIFF....WEBP/s, "webp"],
  [/^GIF8[79]a/, "GIF"],
  [/^BM....\0\0\0\0/s, "BMP"],
  [/^(II\*\0|MM\0\*)/, "TIFF"],
  [/^....ftyp(avif|avis)/s, "AVIF"],
  [/^....ftyp(hei|hev|mif1|msf1)/s, "HEIC"],
  [/^(\xff\n|\0\0\0\fJXL )/, "JPEG XL"],
  [/^%PDF/, "PDF"],
];

/**
 * Decodes JPEG, PNG or WebP. Alpha is dropped, as transformers does
 * (`convert_to_rgb`: PIL's convert("RGB")); Exif orientation is applied, as
 * its `load_image` does. Throws `ImageError`, whatever the bytes.
 */
export async function decode(
  bytes: Uint8Array,
  { name = "image", limits = {} }: DecodeImageOptions = {},
): Promise<Image> {
  try {
    return await decodeChecked(bytes, { ...IMAGE_LIMITS, ...limits });
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new ImageError(error.code, error.message, name);
  }
}

/** Pixels that the header of a picture tells of; 0 where `decode` will refuse it for what it begins with. */
export function pixelsOf(bytes: Uint8Array): number {
  try {
    const { width, height } = headerOf(bytes);
    return width * height;
  } catch (error) {
    if (error instanceof ImageError) return 0;
    throw error;
  }
}

function headerOf(bytes: Uint8Array): Header {
  switch (kindOf(bytes)) {
    case "png":
      return readPng(bytes, IMAGE_LIMITS);
    case "jpeg":
      return readJpegHeader(bytes);
    case "webp":
      return readWebpHeader(bytes);
    default:
      return { width: 0, height: 0, orientation: 1 };
  }
}

async function decodeChecked(
  bytes: Uint8Array,
  limits: ImageLimits,
): Promise<Image> {
  if (bytes.length > limits.fileBytes) {
    throw new ImageError(
      "too_large",
      `it has ${bytes.length} bytes, at most ${limits.fileBytes} are allowed; make it smaller first`,
    );
  }
  const kind = kindOf(bytes);
  switch (kind) {
    case "png": {
      const png = readPng(bytes, limits);
      return upright(await decodePng(png), png.orientation);
    }
    case "jpeg":
      return await viaWasm(bytes, readJpegHeader(bytes), limits, decodeJpeg);
    case "webp":
      return await viaWasm(bytes, readWebpHeader(bytes), limits, decodeWebp);
    default:
      throw new ImageError(
        "unsupported",
        `it is ${kind}; save it as JPEG, PNG or WebP`,
      );
  }
}

async function viaWasm(
  bytes: Uint8Array,
  { width, height, orientation }: Header,
  limits: ImageLimits,
  decodeRgba: DecodeRgba,
): Promise<Image> {
  checkSize(width, height, limits);
  const pixels = await decodeRgba(bytes, { width, height });
  if (pixels.width !== width || pixels.height !== height) {
    throw new ImageError(
      "damaged",
      `its header says ${width} × ${height} pixels, its data ${pixels.width} × ${pixels.height}`,
    );
  }
  return upright({ width, height, data: rgbOf(pixels.data) }, orientation);
}

function kindOf(bytes: Uint8Array): string {
  if (bytes.length === 0) throw new ImageError("unknown_kind", "it is empty");
  const start = String.fromCharCode(...bytes.subarray(0, 16));
  for (const [magic, kind] of KINDS) if (magic.test(start)) return kind;
  throw new ImageError(
    "unknown_kind",
    `it begins with ${
      JSON.stringify(start.slice(0, 8))
    }, which is not a known image format; use JPEG, PNG or WebP`,
  );
}
