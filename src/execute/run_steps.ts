/**
 * Runs a list of steps: the loop of every thread, the main one included.
 * @module
 */
import type { Kernels } from "../kernels/signatures/mod.ts";
import {
  CROSS_MEMORY_COPY,
  REGISTER,
  type Step,
  workOf,
} from "../plan/step.ts";

/** A WebAssembly memory and the kernels instantiated over it. */
export interface MemoryView {
  readonly buffer: ArrayBufferLike;
  readonly kernels: Kernels;
}

/** State of one thread. */
export interface ThreadState {
  /** All memories of the plan, memory 0 first. */
  readonly memories: readonly MemoryView[];
  /** Index of this thread; 0 is the main thread. */
  readonly thread: number;
  readonly threads: number;
  /**
   * Per-thread copies that this thread writes in `each` steps: 1 where all threads
   * run; all of them where the main thread runs alone, because the others may read
   * theirs in the next slice.
   */
  readonly copies: number;
  /** Address of the barrier. */
  readonly barrier: number;
  /** This thread's copy of the registers; [0] is `thread`. */
  readonly registers: Int32Array;
  /** For each step, the number of tiles taken; shared memory, zeroed before a slice. */
  readonly tilesTaken: Int32Array;
  /** Multiply–adds of a tile. */
  readonly tileWork: number;
}

/** Most tiles of a step per thread. */
const TILES_PER_THREAD = 4;

/** Polls before a thread at a barrier sleeps, about 50 µs. */
export const SPINS = 20_000;

type Call = (...args: number[]) => void;

/**
 * Runs steps [from, to). All threads have finished the last step when it returns.
 * After a trap in a kernel this thread still passes all barriers, so that the others
 * do not wait for ever; the error is thrown at the end.
 */
export function runSteps(
  w: ThreadState,
  steps: readonly Step[],
  from: number,
  to: number,
  measure?: (step: Step, ms: number) => void,
): void {
  let failure: unknown;
  for (let i = from; i < to; i++) {
    const step = steps[i];
    const begin = measure ? performance.now() : 0;
    try {
      if (failure === undefined) runStep(w, step, i);
    } catch (error) {
      failure = error ?? new Error("a kernel failed");
    }
    if (w.threads > 1 && (step.sync || i === to - 1)) {
      w.memories[0].kernels.barrier(w.barrier, w.threads, SPINS);
    }
    measure?.(step, performance.now() - begin);
  }
  if (failure !== undefined) throw failure;
}

function runStep(w: ThreadState, step: Step, index: number): void {
  const { registers: r, thread, threads } = w;
  if (step.when !== undefined && r[step.when] === 0) return;
  if (step.each) {
    for (let copy = 0; copy < w.copies; copy++) {
      r[REGISTER.thread] = thread + copy;
      call(w, step, argsOf(step, r));
    }
    r[REGISTER.thread] = thread;
    return;
  }
  const { split } = step;
  if (split === undefined && thread !== 0) return;
  const args = argsOf(step, r);
  if (split === undefined || threads === 1) return call(w, step, args);
  const { lo, hi, unit } = split, start = args[lo], end = args[hi];
  const units = Math.ceil((end - start) / unit);
  const tile = (i: number, tiles: number) => {
    args[lo] = start + Math.floor(units * i / tiles) * unit;
    args[hi] = Math.min(
      end,
      start + Math.floor(units * (i + 1) / tiles) * unit,
    );
    if (args[lo] < args[hi]) call(w, step, args);
  };
  // A large step has more tiles than threads, and free threads take the next tile:
  // tiles differ (causal attention), and a thread may lose its core for a while.
  const wanted = Math.floor(workOf(step, r) / w.tileWork);
  const tiles = Math.min(threads * TILES_PER_THREAD, wanted);
  if (tiles <= threads) return tile(thread, threads);
  for (;;) {
    const next = Atomics.add(w.tilesTaken, index, 1);
    if (next >= tiles) return;
    tile(next, tiles);
  }
}

function argsOf(step: Step, registers: Int32Array): number[] {
  const args = step.args.slice();
  for (const [at, register, scale] of step.dynamic) {
    args[at] += registers[register] * scale;
  }
  return args;
}

function call(w: ThreadState, step: Step, args: number[]): void {
  if (step.kernel === CROSS_MEMORY_COPY) return copyAcross(w.memories, args);
  const { kernels } = w.memories[step.memory ?? 0];
  (kernels[step.kernel] as Call)(...args);
}

/** Copies bytes from one memory to another. */
function copyAcross(
  memories: readonly MemoryView[],
  [from, at, to, target, bytes]: readonly number[],
): void {
  new Uint8Array(memories[to].buffer, target, bytes)
    .set(new Uint8Array(memories[from].buffer, at, bytes));
}
