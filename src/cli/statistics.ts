/**
 * Values of stored tensors and their statistics.
 * @module
 */
import type { TensorFile } from "../format/safetensors.ts";

/** Statistics of values. */
export interface Statistics {
  /** Number of values. */
  readonly count: number;
  /** Smallest. */
  readonly least: number;
  /** Largest. */
  readonly greatest: number;
  /** Mean. */
  readonly mean: number;
  /** Standard deviation. */
  readonly deviation: number;
  /** Number of exact zeros. */
  readonly zeros: number;
}

/** Computes the statistics of `x`. */
export function statistics(x: Float64Array): Statistics {
  let least = Infinity, greatest = -Infinity, sum = 0, zeros = 0;
  for (const v of x) {
    if (v < least) least = v;
    if (v > greatest) greatest = v;
    if (v === 0) zeros++;
    sum += v;
  }
  const mean = sum / x.length;
  let square = 0;
  for (const v of x) square += (v - mean) ** 2;
  return {
    count: x.length,
    least,
    greatest,
    mean,
    deviation: Math.sqrt(square / x.length),
    zeros,
  };
}

/** Bits of each quantized weight; empty for a float checkpoint. */
export function bitsOf(file: TensorFile): ReadonlyMap<string, number> {
  try {
    const bits = JSON.parse(file.metadata.get("bits") ?? "{}");
    return new Map(Object.entries<number>(bits));
  } catch {
    return new Map();
  }
}

/** Values of a tensor; 4-bit values are unpacked. */
export function numbersOf(file: TensorFile, name: string): Float64Array {
  const elements = file.tensor(name).read();
  if (bitsOf(file).get(name) !== 4) {
    return Float64Array.from(elements as ArrayLike<number>, Number);
  }
  const values = new Float64Array(elements.length * 2);
  for (let i = 0; i < elements.length; i++) {
    const byte = Number(elements[i]);
    values[2 * i] = (byte << 28) >> 28; // element 2j in the low nibble
    values[2 * i + 1] = (byte << 24) >> 28;
  }
  return values;
}
