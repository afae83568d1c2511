/**
 * The hash of a header within it: at a fixed position, as the first of the
 * metadata.
 *
 *     | u64 N | {"__metadata__":{"header_sha256":"64 hex digits",...
 *     0       8                                  42             106
 *
 * It is the SHA-256 of bytes 0 to 8 + N with those digits taken as zeros.
 * @module
 */

/** Metadata key of the header's SHA-256. */
export const HEADER_SHA256 = "header_sha256";

/** Placeholder of the hash while the header is built. */
export const NO_SHA256: string = "0".repeat(64);

const BEFORE = `{"__metadata__":{"${HEADER_SHA256}":"`;
const DIGITS = 8 + BEFORE.length;

/**
 * The bytes of a header that are hashed, with the digits of the hash replaced
 * by zeros; undefined if the hash is not at its fixed position.
 * @param header bytes 0 to 8 + N of a file
 */
export function hashedHeader(header: Uint8Array): Uint8Array[] | undefined {
  const before = new TextDecoder().decode(header.subarray(8, DIGITS));
  if (before !== BEFORE || header.length < DIGITS + 64) return undefined;
  return [
    header.subarray(0, DIGITS),
    new TextEncoder().encode(NO_SHA256),
    header.subarray(DIGITS + 64),
  ];
}
