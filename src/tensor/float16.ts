/**
 * IEEE binary16, bfloat16 and E4M3 to float32 and back. To float32 is exact; to
 * binary16 rounds to nearest, ties to even (IEEE 754-2019 §4.3.1), as torch
 * and numpy do.
 * @module
 */

const bits = new Uint32Array(1);
const value = new Float32Array(bits.buffer);

/** float32 of every binary16 bit pattern, made on first use (256 KiB). */
let table: Float32Array | undefined;

function makeTable(): Float32Array {
  const words = new Uint32Array(65536);
  for (let h = 0; h < 65536; h++) {
    const sign = (h & 0x8000) << 16;
    const exponent = (h >> 10) & 31;
    const fraction = h & 0x3ff;
    if (exponent === 31) words[h] = sign | 0x7f800000 | fraction << 13;
    else if (exponent > 0) {
      words[h] = sign | (exponent + 112) << 23 | fraction << 13;
    } else {
      value[0] = fraction * 2 ** -24; // subnormal or zero
      words[h] = sign | bits[0];
    }
  }
  return new Float32Array(words.buffer);
}

/** float32 values of binary16 bit patterns. */
export function f16ToF32(
  from: Uint16Array,
  to: Float32Array = new Float32Array(from.length),
): Float32Array {
  table ??= makeTable();
  // Through integers: a float load may quieten a signalling NaN.
  const words = new Uint32Array(table.buffer);
  const out = new Uint32Array(to.buffer, to.byteOffset, to.length);
  for (let i = 0; i < from.length; i++) out[i] = words[from[i]];
  return to;
}

/** The float32 value of one binary16 bit pattern. */
export function f16Value(pattern: number): number {
  table ??= makeTable();
  return table[pattern];
}

/** float32 values of bfloat16 bit patterns (the upper half of a float32). */
export function bf16ToF32(
  from: Uint16Array,
  to: Float32Array = new Float32Array(from.length),
): Float32Array {
  const out = new Uint32Array(to.buffer, to.byteOffset, to.length);
  for (let i = 0; i < from.length; i++) out[i] = from[i] << 16;
  return to;
}

/**
 * float32 values of E4M3 bit patterns: a sign, 4 bits of exponent (bias 7), 3 of
 * fraction, no infinity; all ones is NaN (Micikevicius et al. 2022, "FP8 formats
 * for deep learning").
 */
export function f8ToF32(from: Uint8Array): Float32Array<ArrayBuffer> {
  const values = Float32Array.from({ length: 256 }, (_, h) => {
    const sign = h & 0x80 ? -1 : 1, fraction = h & 7, exponent = h >> 3 & 15;
    if ((h & 0x7f) === 0x7f) return NaN;
    return sign *
      (exponent === 0
        ? fraction * 2 ** -9
        : (8 + fraction) * 2 ** (exponent - 10));
  });
  return Float32Array.from(from, (h) => values[h]);
}

/**
 * binary16 bit patterns of numbers, rounded from float32 to nearest even.
 * Magnitudes from 65520 on become infinite; NaN becomes the quiet NaN 0x7e00.
 */
export function f32ToF16(from: ArrayLike<number>): Uint16Array {
  const out = new Uint16Array(from.length);
  for (let i = 0; i < from.length; i++) {
    value[0] = from[i];
    const sign = bits[0] >>> 16 & 0x8000;
    const magnitude = bits[0] & 0x7fffffff;
    if (magnitude > 0x7f800000) out[i] = 0x7e00;
    else if (magnitude >= 0x47800000) out[i] = sign | 0x7c00; // ≥ 65536
    else if (magnitude >= 0x38800000) { // normal: drop 13 bits; a carry may reach infinity
      const odd = magnitude >>> 13 & 1;
      out[i] = sign | (magnitude - 0x38000000 + 0xfff + odd) >>> 13;
    } else {
      // Subnormal: in units of 2^-24 the product is exact in float64.
      const units = Math.abs(value[0]) * 2 ** 24;
      const floor = Math.floor(units), rest = units - floor;
      const up = rest > 0.5 || rest === 0.5 && floor % 2 === 1;
      out[i] = sign | floor + (up ? 1 : 0);
    }
  }
  return out;
}
