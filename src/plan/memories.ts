/**
 * Models larger than one WebAssembly memory: everything but some weights stays in
 * memory 0, where all steps but matmuls run. A matmul whose weights are in another
 * memory runs there: its int8 inputs are copied over, its result is copied back.
 *
 *   memory 0:  inputs, sums ─copy▶ ┐                       ┌ ─copy▶ result
 *   memory m:                      └ matmul (weights of m) ┘
 *
 * All threads see all memories and split each matmul by output columns as usual,
 * so the bits are the same as with one memory.
 * @module
 */
import { roundUp } from "../kernels/layout.ts";
import type { Allocator, Buffer } from "./buffer.ts";
import { aligned, placeByLife, placeInOrder } from "./place.ts";

/** The layout of one memory. */
export interface MemoryLayout {
  /** Its size in bytes, whole wasm pages. */
  readonly bytes: number;
  /** Bytes of weights in it. */
  readonly weights: number;
  /** Staging area while weights are loaded. */
  readonly staging: { readonly at: number; readonly bytes: number };
  /** Scratch: address of thread 0's, and bytes from one thread's to the next. */
  readonly scratch: { readonly at: number; readonly perThread: number };
}

/** Address 0 means "none" to kernels. */
export const FIRST_ADDRESS = 1024;

const LEAST_STAGING = 1 << 20;
const TAIL = 256; // kernels may load a vector that begins before the end

/** Capacity of each memory for weights, in bytes. */
export interface Room {
  readonly first: number;
  readonly others: number;
}

/** Assigns each weight to a memory: the last one used, or a new one if that has no room. */
export class WeightAllocator implements Allocator {
  readonly #used = [0];

  /** Creates an empty allocator. */
  constructor(private readonly room: Room) {}

  /** The memory of a weight; a `pinned` one stays in memory 0, where other kernels read it. */
  take(bytes: number, pinned: boolean): number {
    const size = aligned(bytes), last = this.#used.length - 1;
    const fits = (m: number) =>
      this.#used[m] + size <= (m === 0 ? this.room.first : this.room.others);
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
  /** Buffers between steps, list by list. */
  readonly arenas: readonly (readonly Buffer[])[];
  /** Scratch of one thread. */
  readonly scratch: number;
  readonly threads: number;
}

/** A layout with the end addresses of its parts. */
export interface Placed extends MemoryLayout {
  readonly ends: {
    readonly constants: number;
    readonly weights: number;
    readonly cache: number;
  };
}

/** Places constants, weights, K/V cache, scratch and arena from `start` on. */
export function placeMemory(start: number, c: Contents): Placed {
  const constants = placeInOrder(c.constants, start);
  const weights = placeInOrder(c.weights, constants);
  const cache = placeInOrder(c.cache, weights);
  const perThread = aligned(c.scratch), at = cache + c.threads * perThread;
  let end = at + Math.max(LEAST_STAGING, stagingOf(c.weights));
  for (const arena of c.arenas) end = Math.max(end, placeByLife(arena, at));
  return {
    ends: { constants, weights, cache },
    weights: weights - constants,
    scratch: { at: cache, perThread },
    staging: { at, bytes: end - at },
    bytes: roundUp(end + TAIL, 65536),
  };
}

/** Staging must have room for eight rows of the longest weight. */
function stagingOf(weights: readonly Buffer[]): number {
  let most = 0;
  for (const { weights: content } of weights) {
    if (!content) continue;
    for (const { k } of content.parts) most = Math.max(most, 8 * k);
  }
  return most;
}
