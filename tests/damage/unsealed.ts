/**
 * A model file without its checksums, so that damage reaches the readers after them.
 * Spaces replace them, so that no offset changes.
 * @module
 */

/** `bytes` without checksums: for readers that do not verify them. */
export function unsealed(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const end = 8 + new DataView(bytes.buffer, bytes.byteOffset)
    .getUint32(0, true);
  const blank = (whole: string, keep = "") => keep.padEnd(whole.length);
  const text = new TextDecoder().decode(bytes.subarray(8, end))
    .replace(/"header_sha256":"\w+",/, (whole) => blank(whole))
    .replace(/,"sha256":"(?:[^"\\]|\\.)*"/, (whole) => blank(whole));
  const copy = bytes.slice();
  copy.set(new TextEncoder().encode(text), 8);
  return copy;
}
