/**
 * Exif orientation (CIPA DC-008, "Orientation" 0112h; TIFF 6.0, section 2): reading
 * it, and rotating a picture by it.
 * @module
 */
import type { Image } from "./image.ts";

/**
 * Orientation 1 to 8 from an Exif block, which begins with a TIFF header; 1 where
 * there is none or the block is damaged.
 */
export function exifOrientation(tiff: Uint8Array): number {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  if (tiff.length < 14) return 1;
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return 1; // "II", "MM"
  const little = order === 0x4949;
  if (view.getUint16(2, little) !== 42) return 1;
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return 1;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + i * 12;
    if (entry + 12 > tiff.length) return 1;
    if (view.getUint16(entry, little) !== 0x0112) continue;
    const short = view.getUint16(entry + 2, little) === 3;
    const value = view.getUint16(entry + 8, little);
    return short && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** `image` rotated and mirrored to be upright; `image` itself for orientation 1. */
export function upright(image: Image, orientation: number): Image {
  if (orientation < 2 || orientation > 8) return image;
  const { width: w, height: h, data } = image;
  const turned = orientation >= 5; // 5 to 8 swap the sides
  const [width, height] = turned ? [h, w] : [w, h];
  // Whether the source's rows and columns are reversed in the result.
  const [flipX, flipY] = [[2, 3, 7, 8], [3, 4, 6, 7]]
    .map((list) => list.includes(orientation));
  const stepColumn = flipX ? -1 : 1; // in source pixels
  const stepRow = flipY ? -w : w;
  const origin = (flipX ? w - 1 : 0) + (flipY ? (h - 1) * w : 0);
  const [dx, dy] = turned ? [stepRow, stepColumn] : [stepColumn, stepRow];
  const out = new Uint8Array(data.length);
  for (let y = 0, o = 0; y < height; y++) {
    let p = (origin + y * dy) * 3;
    for (let x = 0; x < width; x++, o += 3, p += dx * 3) {
      out[o] = data[p];
      out[o + 1] = data[p + 1];
      out[o + 2] = data[p + 2];
    }
  }
  return { width, height, data: out };
}
