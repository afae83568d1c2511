/**
 * Inflates zlib data of known size (RFC 1950, RFC 1951). The web platform's
 * DecompressionStream is twice as fast, but a failed stream keeps its memory until
 * garbage collection, so damaged PNGs made a process grow without bound
 * (docs/log.md). This decoder uses its output and two small tables only.
 * @module
 */

import { type Codes, longCode, noCodes, setCodes, SHORT } from "./codes.ts";

/** Result of inflating. */
export type Inflated =
  /** All bytes are there, and the checksum is right. */
  | "whole"
  /** The input ends before the output does. */
  | "short"
  /** Invalid data, or more output than expected. */
  | "damaged";

/** Output bytes between two yields to the event loop. */
const TURN_BYTES = 1 << 18;

/** Least output of a block on average, beyond so many blocks of any length: one a row, and more. */
const BLOCK_BYTES = 256, SPARE_BLOCKS = 1 << 17;

/** Order in which lengths of code lengths are stored (RFC 1951, 3.2.7). */
const ORDER = [
  ...[16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15],
];

/** Least value and extra bits of each symbol of lengths, from 257 on, and of distances (3.2.5). */
const LENGTHS = ranges(3, [8, 4, 4, 4, 4, 4], 29);
const DISTANCES = ranges(1, [4, ...Array(13).fill(2)], 30);
LENGTHS.base[28] = 258;

function ranges(first: number, counts: readonly number[], size: number) {
  const base = new Uint16Array(size), extra = new Uint8Array(size);
  let i = 0, next = first;
  for (const [bits, count] of counts.entries()) {
    for (let k = 0; k < count; k++, i++) {
      base[i] = next, extra[i] = bits;
      next += 1 << bits;
    }
  }
  return { base, extra };
}

/** Code lengths of the fixed codes (3.2.6). */
const FIXED = new Uint8Array(288 + 32).fill(8, 0, 144).fill(9, 144, 256)
  .fill(7, 256, 280).fill(8, 280, 288).fill(5, 288);

/** Decoder state. */
interface State {
  /** The input, with PAD zeros behind its `end`. */
  readonly input: Uint8Array;
  readonly end: number;
  readonly out: Uint8Array;
  /** Next byte of the input. */
  p: number;
  /** The next bits, the first lowest, and how many. */
  hold: number;
  n: number;
  /** Next byte of the output. */
  at: number;
}

/** Bytes that may be read beyond the end before that is checked. */
const PAD = 16;

/** Reads at most 16 bits. */
function take(s: State, bits: number): number {
  for (; s.n < bits; s.n += 8) s.hold |= (s.input[s.p++] ?? 0) << s.n;
  const value = s.hold & (1 << bits) - 1;
  s.hold >>>= bits, s.n -= bits;
  return value;
}

/** Whether bits beyond the end were read. */
function overrun({ p, n, end }: State): boolean {
  return p - (n >> 3) > end;
}

/**
 * Inflates the concatenated `pieces` into `out`, which must be filled to the
 * last byte. Yields regularly to the event loop.
 */
export function* inflate(
  pieces: readonly Uint8Array[],
  out: Uint8Array,
): Generator<void, Inflated> {
  const end = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const input = new Uint8Array(end + PAD);
  let from = 0;
  for (const piece of pieces) input.set(piece, from), from += piece.length;
  const s: State = { input, end, out, p: 2, hold: 0, n: 0, at: 0 };
  const failed = () => overrun(s) && s.at < out.length ? "short" : "damaged";
  const symbols = noCodes(), steps = noCodes();
  if (end < 2) return "short";
  const [method, flags] = input;
  if (
    (method & 15) !== 8 || method >> 4 > 7 || flags & 32 ||
    (method << 8 | flags) % 31 !== 0
  ) return "damaged";
  // Blocks of nothing, or of a byte each, would cost far more than their output.
  let blocks = SPARE_BLOCKS + out.length / BLOCK_BYTES;
  for (let last = 0; last === 0;) {
    if (--blocks < 0) return "damaged";
    if ((blocks & 1023) === 0) yield;
    last = take(s, 1);
    const kind = take(s, 2);
    if (kind === 3 || overrun(s)) return failed();
    if (kind === 0) {
      if (!copyStored(s)) return failed();
      continue;
    }
    const known = kind === 1
      ? setCodes(symbols, FIXED.subarray(0, 288), false) &&
        setCodes(steps, FIXED.subarray(288), false)
      : readCodes(s, symbols, steps);
    if (!known) return failed();
    for (;;) {
      const ended = readSymbols(s, symbols, steps, s.at + TURN_BYTES);
      if (ended === "failed") return failed();
      if (ended === "block") break;
      yield;
    }
    if (overrun(s)) return failed();
  }
  if (s.at < out.length) return "short";
  const p = s.p - (s.n >> 3); // whole bytes were taken too early
  if (p + 4 > end) return "damaged"; // bytes after the end are ignored, as in Pillow
  return new DataView(input.buffer).getUint32(p) === adler32(out)
    ? "whole"
    : "damaged";
}

/** A block that is not compressed (3.2.4); false where it goes beyond an end. */
function copyStored(s: State): boolean {
  const { input, end, out } = s;
  take(s, s.n & 7);
  const length = take(s, 16), inverse = take(s, 16);
  s.p -= s.n >> 3, s.hold = s.n = 0;
  if ((length ^ inverse) !== 0xffff || overrun(s)) return false;
  const most = Math.min(length, end - s.p, out.length - s.at);
  out.set(input.subarray(s.p, s.p + most), s.at);
  s.p += length, s.at += most;
  return most === length;
}

/** Reads the codes of a dynamic block (3.2.7); false where they are invalid. */
function readCodes(s: State, symbols: Codes, steps: Codes): boolean {
  const many = 257 + take(s, 5), far = 1 + take(s, 5), told = 4 + take(s, 4);
  if (many > 286 || far > 30) return false;
  const lengths = new Uint8Array(many + far), small = new Uint8Array(19);
  for (let i = 0; i < told; i++) small[ORDER[i]] = take(s, 3);
  if (!setCodes(symbols, small, false)) return false;
  for (let i = 0; i < lengths.length;) {
    for (; s.n < 7; s.n += 8) s.hold |= (s.input[s.p++] ?? 0) << s.n;
    const entry = symbols.short[s.hold & (1 << SHORT) - 1];
    const symbol = entry >> 4;
    take(s, entry & 15);
    if (entry === 0 || overrun(s) || symbol === 16 && i === 0) return false;
    if (symbol < 16) lengths[i++] = symbol;
    else {
      const value = symbol === 16 ? lengths[i - 1] : 0;
      const [least, bits] = REPEATS[symbol - 16];
      const to = i + least + take(s, bits);
      if (to > lengths.length) return false;
      lengths.fill(value, i, to);
      i = to;
    }
  }
  return lengths[256] > 0 && // a block must be able to end
    setCodes(symbols, lengths.subarray(0, many), true) &&
    setCodes(steps, lengths.subarray(many), true);
}

/** Least repeat count of a length, and its extra bits. */
const REPEATS = [[3, 2], [3, 3], [11, 7]] as const;

/** Bytes and matches up to the end of a block, or until `pause` bytes are out. */
function readSymbols(
  s: State,
  symbols: Codes,
  steps: Codes,
  pause: number,
): "block" | "pause" | "failed" {
  const { input, end, out } = s, size = out.length;
  const { short } = symbols, { short: shortStep } = steps;
  const mask = (1 << SHORT) - 1;
  let { p, hold, n, at } = s, ended: "block" | "pause" | "failed" = "failed";
  while (p <= end + 4) { // beyond that only zeros came
    // Before each piece at least 16 bits are there; none has more than 15.
    if (n < 16) hold |= (input[p] | input[p + 1] << 8) << n, p += 2, n += 16;
    let entry = short[hold & mask] || longCode(symbols, hold);
    let bits = entry & 15;
    const symbol = entry >> 4;
    hold >>>= bits, n -= bits;
    if (symbol < 256) {
      if (bits === 0 || at === size) break;
      out[at++] = symbol;
      continue;
    }
    if (symbol === 256) {
      ended = "block";
      break;
    }
    if (symbol > 285) break;
    if (n < 16) hold |= (input[p] | input[p + 1] << 8) << n, p += 2, n += 16;
    bits = LENGTHS.extra[symbol - 257];
    const length = LENGTHS.base[symbol - 257] + (hold & (1 << bits) - 1);
    hold >>>= bits, n -= bits;
    if (n < 16) hold |= (input[p] | input[p + 1] << 8) << n, p += 2, n += 16;
    entry = shortStep[hold & mask] || longCode(steps, hold);
    bits = entry & 15;
    if (bits === 0 || entry >> 4 > 29) break;
    hold >>>= bits, n -= bits;
    if (n < 16) hold |= (input[p] | input[p + 1] << 8) << n, p += 2, n += 16;
    bits = DISTANCES.extra[entry >> 4];
    const step = DISTANCES.base[entry >> 4] + (hold & (1 << bits) - 1);
    hold >>>= bits, n -= bits;
    if (step > at || length > size - at) break;
    for (const to = at + length; at < to; at++) out[at] = out[at - step];
    if (at >= pause) {
      ended = "pause";
      break;
    }
  }
  s.p = p, s.hold = hold, s.n = n, s.at = at;
  return ended;
}

/** Adler-32 checksum (RFC 1950, 8.2). */
function adler32(bytes: Uint8Array): number {
  let a = 1, b = 0;
  for (let at = 0; at < bytes.length;) {
    for (const to = Math.min(bytes.length, at + 3800); at < to; at++) {
      b += a += bytes[at];
    }
    a %= 65521, b %= 65521;
  }
  return (b << 16 | a) >>> 0;
}
