/**
 * Seeded pseudo-random numbers, the same on every machine.
 * @module
 */

/** A stream of 32-bit unsigned integers. */
export type Random = () => number;

/** Mulberry32 (Tommy Ettinger, public domain algorithm): period 2^32, enough for signs and samples. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** A seed for `name` under `seed` (FNV-1a), so that each stream is independent of the order of use. */
export function seedOf(seed: number, name: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < name.length; i++) {
    hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}

/** Uniform in [0, 1). */
export function uniform(next: Random): number {
  return next() / 0x100000000;
}

/** Standard normal, as the sum of twelve uniforms minus six: plain arithmetic, hence equal everywhere. */
export function normal(next: Random): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += uniform(next);
  return sum;
}
