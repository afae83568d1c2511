/**
 * Undoing PNG's row filters (W3C PNG, §9).
 * @module
 */
import { ImageError } from "./image.ts";

/**
 * Undoes the filters of `rows` rows in place. Each row is a filter byte and
 * `rowBytes` bytes, from `at` on; `pixelBytes` is the distance to the left
 * neighbour. Throws `ImageError` "damaged" for an unknown filter.
 */
export function unfilter(
  data: Uint8Array,
  at: number,
  rows: number,
  rowBytes: number,
  pixelBytes: number,
): void {
  let above = new Uint8Array(rowBytes); // the row above the first is zero
  for (let y = 0; y < rows; y++) {
    const filter = data[at];
    const row = data.subarray(at + 1, at + 1 + rowBytes);
    switch (filter) {
      case 0:
        break;
      case 1:
        for (let i = pixelBytes; i < rowBytes; i++) {
          row[i] += row[i - pixelBytes];
        }
        break;
      case 2:
        for (let i = 0; i < rowBytes; i++) row[i] += above[i];
        break;
      case 3:
        for (let i = 0; i < rowBytes; i++) {
          const left = i < pixelBytes ? 0 : row[i - pixelBytes];
          row[i] += (left + above[i]) >> 1;
        }
        break;
      case 4:
        paeth(row, above, pixelBytes);
        break;
      default:
        throw new ImageError(
          "damaged",
          `row ${y} has filter ${filter}, which is not known`,
        );
    }
    above = row as Uint8Array<ArrayBuffer>;
    at += 1 + rowBytes;
  }
}

/** Adds whichever neighbour is nearest to left + above − corner; ties in that order (§9.4). */
function paeth(row: Uint8Array, above: Uint8Array, pixelBytes: number) {
  const n = Math.min(pixelBytes, row.length);
  for (let i = 0; i < n; i++) row[i] += above[i];
  for (let i = pixelBytes; i < row.length; i++) {
    const a = row[i - pixelBytes], b = above[i], c = above[i - pixelBytes];
    const toA = Math.abs(b - c),
      toB = Math.abs(a - c),
      toC = Math.abs(a + b - 2 * c);
    row[i] += toA <= toB && toA <= toC ? a : toB <= toC ? b : c;
  }
}
