/**
 * Prefix codes of deflate (RFC 1951, 3.2.2): from code lengths to a look-up table of
 * short codes and a canonical search of long codes.
 * @module
 */

/** Number of bits that index the look-up table. */
export const SHORT = 10;

/** A Huffman code. */
export interface Codes {
  /** By the next SHORT bits: symbol × 16 + length of the code; 0 where it is longer or invalid. */
  readonly short: Uint16Array;
  /** Number of codes of each length. */
  readonly counts: Uint16Array;
  /** Symbols in the order of their codes. */
  readonly symbols: Uint16Array;
}

/** Empty tables. */
export const noCodes = (): Codes => ({
  short: new Uint16Array(1 << SHORT),
  counts: new Uint16Array(16),
  symbols: new Uint16Array(288),
});

/** Sets `codes` from `lengths`; false where they form no complete prefix code. A single code may be incomplete where `alone` is set. */
export function setCodes(
  codes: Codes,
  lengths: Uint8Array,
  alone: boolean,
): boolean {
  const { short, counts, symbols } = codes;
  counts.fill(0);
  for (const length of lengths) counts[length]++;
  counts[0] = 0;
  const next = new Uint16Array(16), place = new Uint16Array(16);
  let free = 1, longest = 0;
  for (let bits = 1; bits < 16; bits++) {
    free = 2 * free - counts[bits];
    if (free < 0) return false;
    if (counts[bits] > 0) longest = bits;
    next[bits] = next[bits - 1] + counts[bits - 1] << 1;
    place[bits] = place[bits - 1] + counts[bits - 1];
  }
  if (free > 0 && !(alone && longest < 2)) return false;
  short.fill(0);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol];
    if (length === 0) continue;
    symbols[place[length]++] = symbol;
    let code = next[length]++, reversed = 0;
    if (length > SHORT) continue;
    for (let k = 0; k < length; k++, code >>= 1) {
      reversed = reversed << 1 | code & 1;
    }
    for (let at = reversed; at < short.length; at += 1 << length) {
      short[at] = symbol << 4 | length;
    }
  }
  return true;
}

/** Decodes a longer code bit by bit; the result has the form of a `short` entry. */
export function longCode({ counts, symbols }: Codes, hold: number): number {
  let code = 0, first = 0, index = 0;
  for (let length = 1; length < 16; length++, hold >>= 1) {
    code |= hold & 1;
    const count = counts[length];
    if (code - first < count) {
      return symbols[index + code - first] << 4 | length;
    }
    index += count;
    first = first + count << 1;
    code <<= 1;
  }
  return 0;
}
