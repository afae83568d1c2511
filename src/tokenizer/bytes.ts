/**
 * The alphabet of byte-level BPE: every byte as one printable character, so
 * that a vocabulary can be written as JSON. Printable Latin-1 characters
 * represent themselves; the other 68 bytes map to U+0100 and up (GPT-2,
 * encoder.py, `bytes_to_unicode`).
 * @module
 */

/** Character of each byte. */
export const CHAR_OF_BYTE: readonly string[] = makeChars();

/** Byte of each character. */
export const BYTE_OF_CHAR: ReadonlyMap<string, number> = new Map(
  CHAR_OF_BYTE.map((char, byte) => [char, byte]),
);

function makeChars(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = byte >= 0x21 && byte <= 0x7e ||
      byte >= 0xa1 && byte !== 0xad;
    return String.fromCharCode(printable ? byte : next++);
  });
}

/** Bytes of a token's text; undefined if a character is not in the alphabet. */
export function bytesOfToken(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = BYTE_OF_CHAR.get(token[i]);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
