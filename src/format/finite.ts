/**
 * Checks that all values of a stored tensor are finite, by their bit patterns,
 * a part at a time; this takes as long as reading the file once.
 * @module
 */
import { type DType, DTYPE_BYTES, elementsOf } from "./dtype.ts";
import type { StoredTensor } from "./safetensors.ts";

/** Bytes that are checked at a time. */
const PART = 1 << 20;

/**
 * Bits that are all ones in NaN and infinity: the exponent (IEEE 754-2019
 * §3.4); for E4M3, which has no infinity, also the mantissa.
 */
const EXPONENTS: Partial<Record<DType, number>> = {
  F64: 0x7ff00000, // of the upper half
  F32: 0x7f800000,
  F16: 0x7c00,
  BF16: 0x7f80,
  F8_E4M3: 0x7f,
};

/** A value that is not finite, and its row-major index. */
export interface NotFinite {
  readonly index: number;
  readonly value: number;
}

/** The first NaN or infinite element; undefined if there is none. */
export function firstNotFinite(
  { dtype, byteLength, readSlice }: StoredTensor,
): NotFinite | undefined {
  const exponent = EXPONENTS[dtype], size = DTYPE_BYTES[dtype];
  if (exponent === undefined) return undefined;
  const part = new Uint8Array(Math.min(PART, byteLength));
  for (let at = 0; at < byteLength; at += part.length) {
    const bytes = part.subarray(0, Math.min(part.length, byteLength - at));
    readSlice(at, bytes);
    const found = firstIn(bytes, size, exponent);
    if (found < 0) continue;
    const element = bytes.slice(found * size, (found + 1) * size);
    const [value] = elementsOf(dtype, element.buffer);
    return { index: at / size + found, value: Number(value) };
  }
  return undefined;
}

/** Index of the first element with all bits of a mask; -1 if there is none. */
function firstIn(
  { buffer, length }: Uint8Array,
  size: number,
  exponent: number,
): number {
  if (size === 1) {
    const words = new Uint8Array(buffer, 0, length);
    return words.findIndex((w) => (w & exponent) === exponent);
  }
  if (size === 2) {
    const words = new Uint16Array(buffer, 0, length / 2);
    return words.findIndex((w) => (w & exponent) === exponent);
  }
  const words = new Uint32Array(buffer, 0, length / 4), step = size / 4;
  for (let i = step - 1; i < words.length; i += step) { // little-endian
    if ((words[i] & exponent) === exponent) return (i + 1) / step - 1;
  }
  return -1;
}
