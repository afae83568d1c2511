/**
 * Gives buffers their addresses. Buffers of the arena share memory where the
 * steps that need them do not overlap; all others lie one behind the other.
 * @module
 */
import type { Buffer } from "./buffer.ts";

/** Every buffer begins on a cache line of its own. */
export const ALIGNMENT = 64;

/** `x` rounded up to a cache line. */
export function aligned(x: number): number {
  return Math.ceil(x / ALIGNMENT) * ALIGNMENT;
}

/** Places buffers one behind the other from `start`; returns the end. */
export function placeInOrder(buffers: Iterable<Buffer>, start: number): number {
  let at = start;
  for (const buffer of buffers) {
    buffer.at = at;
    at += aligned(buffer.bytes);
  }
  return at;
}

/**
 * Places buffers by the steps between which they live, largest first, each at
 * the lowest address that is free all the while.
 * @returns end of the highest
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
