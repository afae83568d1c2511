/**
 * Assigns addresses to buffers. Buffers of the arena share memory if their
 * lifetimes do not overlap; all others are placed consecutively.
 * @module
 */
import type { Buffer } from "./buffer.ts";

/** Every buffer starts at a new cache line. */
export const ALIGNMENT = 64;

/** `x` rounded up to a cache line. */
export function aligned(x: number): number {
  return Math.ceil(x / ALIGNMENT) * ALIGNMENT;
}

/** Places buffers consecutively from `start`; returns the end. */
export function placeInOrder(buffers: Iterable<Buffer>, start: number): number {
  let at = start;
  for (const buffer of buffers) {
    buffer.at = at;
    at += aligned(buffer.bytes);
  }
  return at;
}

/**
 * Places buffers by lifetime, largest first, each at the lowest address that is
 * free during its lifetime.
 * @returns end of the highest buffer
 */
export function placeByLife(buffers: readonly Buffer[], start: number): number {
  const placed: Buffer[] = [];
  let end = start;
  const bySize = buffers.filter((b) => b.last >= 0)
    .sort((a, b) => b.bytes - a.bytes || a.first - b.first);
  for (const buffer of bySize) {
    const neighbours = placed
      .filter((p) => p.first <= buffer.last && buffer.first <= p.last)
      .sort((a, b) => a.at - b.at);
    let at = start;
    for (const n of neighbours) {
      if (at + aligned(buffer.bytes) <= n.at) break;
      at = Math.max(at, n.at + aligned(n.bytes));
    }
    buffer.at = at;
    placed.push(buffer);
    end = Math.max(end, at + aligned(buffer.bytes));
  }
  return end;
}
