/**
 * Models larger than one WebAssembly memory. Memory 0 holds everything except some
 * weights. A matmul whose weights are in another memory runs there: its int8 inputs
 * are copied to that memory, its result is copied back.
 *
 *   memory 0:  inputs, sums ─copy▶ ┐                       ┌ ─copy▶ result
 *   memory m:                      └ matmul (weights of m) ┘
 *
 * All threads access all memories and divide each matmul by output columns as usual,
 * so the results are the same, bit for bit, as with one memory.
 * @module
 */
import { roundUp } from "../kernels/layout.ts";
import type { Allocator, Buffer } from "./buffer.ts";
import { aligned, placeByLifetime, placeInOrder } from "./place.ts";

/** Layout of one memory. */
export interface MemoryLayout {
  /** Its size in bytes, whole wasm pages. */
  readonly bytes: number;
  /** Bytes of its weights. */
  readonly weights: number;
  /** Address and bytes of the arena, which is free while loading. */
  readonly staging: { readonly at: number; readonly bytes: number };
  /** Address of thread 0's scratch, and bytes of each thread's. */
  readonly scratch: { readonly at: number; readonly perThread: number };
}

/** First address that is used: address 0 means "absent" to kernels. */
export const FIRST_ADDRESS = 1024;

const LEAST_STAGING = 1 << 20;
const TAIL = 256; // kernels may load a vector that extends beyond the last buffer

/** Limit of the weights in memory 0, and in each other memory, in bytes. */
export interface WeightLimits {
  readonly first: number;
  readonly others: number;
}

/** Assigns each weight to a memory: the last one used, or a new one where that is full. */
export class WeightAllocator implements Allocator {
  readonly #used = [0];

  /** No weight is assigned yet. */
  constructor(private readonly limits: WeightLimits) {}

  /** The memory of a weight; a `pinned` one stays in memory 0, where other kernels read it. */
  take(bytes: number, pinned: boolean): number {
    const size = aligned(bytes), last = this.#used.length - 1;
    const fits = (m: number) =>
      this.#used[m] + size <=
        (m === 0 ? this.limits.first : this.limits.others);
    let memory = pinned ? 0 : last;
    if (!pinned && !fits(last)) memory = this.#used.push(0) - 1;
    this.#used[memory] += size;
    return memory;
  }
}

/** Contents of one memory. */
export interface Contents {
  readonly constants: readonly Buffer[];
  readonly weights: readonly Buffer[];
  readonly cache: readonly Buffer[];
  /** Arena buffers, by list of steps. */
  readonly arenas: readonly (readonly Buffer[])[];
  /** Scratch of one thread. */
  readonly scratch: number;
  readonly threads: number;
}

/** A layout with the end addresses of its regions. */
export interface Placed extends MemoryLayout {
  readonly ends: {
    readonly constants: number;
    readonly weights: number;
    readonly cache: number;
  };
}

/** Assigns addresses from `start` to constants, weights, caches, scratch and the arena. */
export function placeMemory(start: number, c: Contents): Placed {
  const constants = placeInOrder(c.constants, start);
  const weights = placeInOrder(c.weights, constants);
  const cache = placeInOrder(c.cache, weights);
  const perThread = aligned(c.scratch), at = cache + c.threads * perThread;
  let end = at + Math.max(LEAST_STAGING, stagingOf(c.weights));
  for (const arena of c.arenas) end = Math.max(end, placeByLifetime(arena, at));
  return {
    ends: { constants, weights, cache },
    weights: weights - constants,
    scratch: { at: cache, perThread },
    staging: { at, bytes: end - at },
    bytes: roundUp(end + TAIL, 65536),
  };
}

/** Staging bytes that loading needs: eight rows of the widest weight. */
function stagingOf(weights: readonly Buffer[]): number {
  let most = 0;
  for (const { weights: content } of weights) {
    if (!content) continue;
    for (const { k } of content.parts) most = Math.max(most, 8 * k);
  }
  return most;
}
