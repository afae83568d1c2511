/**
 * Runs a list of steps on one thread; every thread does this.
 * @module
 */
import type { Kernels } from "../kernels/signatures/mod.ts";
import { MOVE, REGISTER, type Step, workOf } from "../plan/step.ts";

/** A memory and the kernels bound to it. */
export interface Place {
  readonly buffer: ArrayBufferLike;
  readonly kernels: Kernels;
}

/** The state of one thread. */
export interface Walker {
  /** All memories of the plan with their kernels; memory 0 first. */
  readonly memories: readonly Place[];
  /** Index of this thread; 0 is the main thread. */
  readonly thread: number;
  readonly threads: number;
  /**
   * Number of threads for which this walk runs `each` steps: 1 if every thread
   * walks; all if the main thread walks alone, because others may read their
   * copies in the next slice.
   */
  readonly copies: number;
  /** Address of the barrier. */
  readonly barrier: number;
  /** The thread's copy of the registers; [0] is `thread`. */
  readonly registers: Int32Array;
  /** For each step, the number of pieces taken; shared, zero before a walk. */
  readonly taken: Int32Array;
  /** Multiply-adds of a piece. */
  readonly pieceWork: number;
}

/** Maximum pieces of a step per thread. */
const MOST_PIECES = 4;

/** Spins at a barrier before a thread sleeps, about 50 µs. */
export const SPINS = 20_000;

type Call = (...args: number[]) => void;

/**
 * Runs the steps [from, to); all threads have passed the last barrier when it
 * returns. If a kernel traps, the thread still passes all barriers so that the
 * others do not wait, and throws at the end.
 */
export function walk(
  w: Walker,
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

function runStep(w: Walker, step: Step, index: number): void {
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
  const piece = (i: number, pieces: number) => {
    args[lo] = start + Math.floor(units * i / pieces) * unit;
    args[hi] = Math.min(
      end,
      start + Math.floor(units * (i + 1) / pieces) * unit,
    );
    if (args[lo] < args[hi]) call(w, step, args);
  };
  // Much work is cut finer, and whoever is done fetches the next piece: pieces are
  // not alike (causal attention), and a thread may lose its core for a while.
  const wish = Math.floor(workOf(step, r) / w.pieceWork);
  const pieces = Math.min(threads * MOST_PIECES, wish);
  if (pieces <= threads) return piece(thread, threads);
  for (;;) {
    const next = Atomics.add(w.taken, index, 1);
    if (next >= pieces) return;
    piece(next, pieces);
  }
}

function argsOf(step: Step, registers: Int32Array): number[] {
  const args = step.args.slice();
  for (const [at, register, scale] of step.dynamic) {
    args[at] += registers[register] * scale;
  }
  return args;
}

function call(w: Walker, step: Step, args: number[]): void {
  if (step.kernel === MOVE) return move(w.memories, args);
  const { kernels } = w.memories[step.memory ?? 0];
  (kernels[step.kernel] as Call)(...args);
}

/** Copies bytes from one memory to another. */
function move(
  memories: readonly Place[],
  [from, at, to, target, bytes]: readonly number[],
): void {
  new Uint8Array(memories[to].buffer, target, bytes)
    .set(new Uint8Array(memories[from].buffer, at, bytes));
}
