/**
 * A model file without its checksums, so that damage gets past them to the
 * readers behind. Blanks take their place: no offset changes.
 * @module
 */

/** `bytes` as `mquant/1`, which need not have checksums. */
export function unsealed(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const end = 8 + new DataView(bytes.buffer, bytes.byteOffset)
    .getUint32(0, true);
  const blank = (whole: string, keep = "") => keep.padEnd(whole.length);
  const text = new TextDecoder().decode(bytes.subarray(8, end))
    .replace(/"header_sha256":"\w+",/, (whole) => blank(whole))
    .replace(/,"sha256":"(?:[^"\\]|\\.)*"/, (whole) => blank(whole))
    .replace('"mquant/1.1"', (whole) => blank(whole, '"mquant/1"'));
  const copy = bytes.slice();
  copy.set(new TextEncoder().encode(text), 8);
  return copy;
}
