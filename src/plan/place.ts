/**
 * Assigns addresses to buffers. Arena buffers share memory where their lifetimes do
 * not overlap; all others are laid out in sequence.
 * @module
 */
import type { Buffer } from "./buffer.ts";

/** Alignment of buffers: a cache line, in bytes. */
export const ALIGNMENT = 64;

/** `x` rounded up to a cache line. */
export function aligned(x: number): number {
  return Math.ceil(x / ALIGNMENT) * ALIGNMENT;
}

/** Lays out buffers in sequence from `start`; returns the end. */
export function placeInOrder(buffers: Iterable<Buffer>, start: number): number {
  let at = start;
  for (const buffer of buffers) {
    buffer.at = at;
    at += aligned(buffer.bytes);
  }
  return at;
}

/**
 * Lays out buffers by lifetime: largest first, each at the lowest address that is
 * free during its whole lifetime.
 * @returns the end of the highest buffer
 */
export function placeByLifetime(
  buffers: readonly Buffer[],
  start: number,
): number {
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
