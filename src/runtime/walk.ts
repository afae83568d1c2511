/**
 * Walks a list of steps: what every thread does, the main one included.
 * @module
 */
import type { Kernels } from "../kernels/contracts.ts";
import { MOVE, REGISTER, type Step } from "./step.ts";

/** A memory and the kernels over it. */
export interface Place {
  readonly buffer: ArrayBufferLike;
  readonly kernels: Kernels;
}

/** What one thread needs to run steps. */
export interface Walker {
  /** All memories of the plan, memory 0 first, and the kernels over each. */
  readonly memories: readonly Place[];
  /** Number of this thread; 0 is the main one. */
  readonly thread: number;
  readonly threads: number;
  /**
   * Threads whose own copies this walk makes (`each` steps): 1 where each thread
   * walks; all where the main thread walks for the others, which may read theirs
   * in the next slice.
   */
  readonly copies: number;
  /** Address of the barrier. */
  readonly barrier: number;
  /** Own copy of the registers; [0] is `thread`. */
  readonly registers: Int32Array;
}

/** Polls before a thread at a barrier goes to sleep, some 50 µs. */
export const SPINS = 20_000;

type Call = (...args: number[]) => void;

/**
 * Runs steps [from, to); all threads have passed the last one when it returns.
 * A kernel that traps does not keep the others waiting: the walk goes on
 * without work, and the error is thrown at its end.
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
      if (failure === undefined) runStep(w, step);
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

function runStep(w: Walker, step: Step): void {
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
  if (split !== undefined) {
    const { lo, hi, unit } = split;
    const start = args[lo], end = args[hi];
    const units = Math.ceil((end - start) / unit);
    args[lo] = start + Math.floor(units * thread / threads) * unit;
    args[hi] = Math.min(
      end,
      start + Math.floor(units * (thread + 1) / threads) * unit,
    );
    if (args[lo] >= args[hi]) return;
  }
  call(w, step, args);
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

/** Bytes from one memory to another. */
function move(
  memories: readonly Place[],
  [from, at, to, target, bytes]: readonly number[],
): void {
  new Uint8Array(memories[to].buffer, target, bytes)
    .set(new Uint8Array(memories[from].buffer, at, bytes));
}
