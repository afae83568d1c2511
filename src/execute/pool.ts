/**
 * Thread pool of a session. The main thread is thread 0 and works too; the others
 * are workers over shared memory. With one thread there are no workers and no shared
 * memory; the code is the same.
 * @module
 */
import { canShare, soon } from "../platform/platform.ts";
import { type ListName, LISTS } from "../plan/lists.ts";
import { COMMAND, send, STOP } from "./command.ts";
import { RuntimeError } from "../graph/error.ts";
import { type AdaptiveThreads, adaptiveThreads } from "./adaptive_threads.ts";
import type { Plan } from "../plan/plan.ts";
import { maxSteps, REGISTER, type Step, workOf } from "../plan/step.ts";
import { type MemoryView, runSteps, type ThreadState } from "./run_steps.ts";
import type { WorkerStart } from "./worker.ts";

/** Division of work among threads. Any choice gives the same bits. */
export interface Threading {
  /** Least multiply–adds of a slice: consecutive steps after which the main thread checks the clock. */
  readonly sliceWork: number;
  /** Multiply–adds of a tile of a step; free threads take the next tile. */
  readonly tileWork: number;
  /** Chooses the number of threads for slices of similar work. */
  readonly adaptive: () => AdaptiveThreads;
}

/** A slice takes a few ms. A tile takes some 30 µs, much longer than to take it. */
const THREADING: Threading = {
  sliceWork: 2e8,
  tileWork: 2e6,
  adaptive: adaptiveThreads,
};

/** Longest time between two yields to the event loop. */
const YIELD_MS = 8;

const WORKER = new URL("./worker.ts", import.meta.url);

/** Whether this runtime can start workers with shared memory. */
export function canStartWorkers(): boolean {
  return canShare(WORKER);
}

/** Threads that run the steps of a plan. */
export class Pool implements AsyncDisposable {
  /** Callback with the time of each step on the main thread in ms, waiting included. */
  measure: ((step: Step, ms: number) => void) | undefined;
  readonly #workers: Worker[] = [];
  readonly #lists: readonly (readonly Step[])[];
  readonly #words: Int32Array;
  readonly #shared: Int32Array;
  readonly #single: ThreadState;
  readonly #multi: ThreadState;
  /** By list and the kernel with most of a slice's work, because their speeds differ. */
  readonly #adaptive = new Map<string, AdaptiveThreads>();
  readonly #threading: Threading;
  #yielded = 0;
  #closed = false;

  private constructor(
    plan: Plan,
    memories: readonly MemoryView[],
    threading: Threading,
  ) {
    this.#threading = threading;
    const { barrier, command, registers, tiles } = plan.control;
    this.#lists = LISTS.map((name) => plan[name]?.steps ?? []);
    const { buffer } = memories[0];
    this.#words = new Int32Array(buffer, command, 16);
    this.#shared = new Int32Array(buffer, registers, plan.registers);
    this.#single = {
      memories,
      thread: 0,
      threads: 1,
      copies: plan.threads,
      barrier,
      registers: new Int32Array(plan.registers),
      tilesTaken: new Int32Array(buffer, tiles, maxSteps(this.#lists)),
      tileWork: threading.tileWork,
    };
    this.#multi = { ...this.#single, threads: plan.threads, copies: 1 };
  }

  /**
   * Starts the workers of a plan; they run the kernels of `module`. Where they cannot
   * start (for example in a bundle without the worker's file), the pool has one thread.
   */
  static async start(
    plan: Plan,
    memories: readonly WebAssembly.Memory[],
    module: WebAssembly.Module,
    views: readonly MemoryView[],
    threading: Threading = THREADING,
  ): Promise<Pool> {
    const pool = new Pool(plan, views, threading);
    try {
      const ready: Promise<void>[] = [];
      for (let thread = 1; thread < plan.threads; thread++) {
        const worker = new Worker(WORKER, {
          type: "module",
          name: `mquant ${thread}`,
        });
        pool.#workers.push(worker);
        ready.push(started(worker));
        const start: WorkerStart = {
          module,
          memories,
          lists: pool.#lists,
          control: plan.control,
          registers: plan.registers,
          tileWork: threading.tileWork,
          thread,
          threads: plan.threads,
        };
        worker.postMessage(start);
      }
      await Promise.all(ready);
    } catch {
      for (const w of pool.#workers.splice(0)) w.terminate();
    }
    return pool;
  }

  /** Threads, the main one included. */
  get threads(): number {
    return this.#workers.length + 1;
  }

  /**
   * Runs the steps [0, to) of a list. Between slices it yields to the event loop, so
   * that signals and timers are handled; an abort stops before the next slice.
   */
  async run(
    name: ListName,
    to: number,
    registers: Int32Array,
    signal?: AbortSignal,
  ): Promise<void> {
    if (this.#closed) {
      throw new RuntimeError(
        "closed",
        "Cannot run the model: its session is closed",
      );
    }
    const list = LISTS.indexOf(name), steps = this.#lists[list];
    this.#shared.set(registers);
    this.#single.registers.set(registers); // the same array as #multi.registers
    this.#single.registers[REGISTER.thread] = 0;
    for (let from = 0; from < to;) {
      signal?.throwIfAborted();
      let work = 0, end = from, most = 0, heaviest = "";
      while (end < to && (end === from || work < this.#threading.sliceWork)) {
        const step = steps[end++], own = workOf(step, registers);
        work += own;
        if (own > most) most = own, heaviest = step.kernel;
      }
      const adaptive = this.#adaptiveFor(`${name} ${heaviest}`);
      const begin = performance.now();
      const all = this.#workers.length > 0 && adaptive.useAll();
      if (all) {
        this.#single.tilesTaken.fill(0, from, end);
        send(this.#words, list, from, end);
      }
      runSteps(
        all ? this.#multi : this.#single,
        steps,
        from,
        end,
        this.measure,
      );
      adaptive.record(all, work, performance.now() - begin);
      if (this.#words[COMMAND.failed] !== 0) {
        throw new RuntimeError(
          "worker",
          "Cannot run the model: a kernel failed on another thread",
        );
      }
      from = end;
      if (performance.now() - this.#yielded > YIELD_MS) {
        await yieldToEvents();
        this.#yielded = performance.now();
      }
    }
    signal?.throwIfAborted();
  }

  #adaptiveFor(key: string): AdaptiveThreads {
    let known = this.#adaptive.get(key);
    if (!known) this.#adaptive.set(key, known = this.#threading.adaptive());
    return known;
  }

  /** Ends the workers. */
  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      if (this.#workers.length > 0) send(this.#words, STOP, 0, 0);
      for (const w of this.#workers) w.terminate();
    }
    return Promise.resolve();
  }
}

/** Resolves when a worker is ready; rejects where it cannot start. */
function started(worker: Worker): Promise<void> {
  return new Promise((done, refuse) => {
    worker.onmessage = () => done();
    worker.onerror = (event) => {
      event.preventDefault();
      refuse(new Error(event.message));
    };
  });
}

/**
 * One `soon` takes 0.02 ms, but Deno polls sockets only every 61 of them: every half
 * second at YIELD_MS. So every SOCKETS_MS there are 64 at once, 0.1 ms together. A
 * timer would poll each time, but takes at least 1.2 ms.
 */
const SOCKETS_MS = 50, YIELDS_PER_POLL = 64;
let polled = 0;

/** Yields to the event loop, so that timers, signals and sockets are handled. */
async function yieldToEvents(): Promise<void> {
  const now = performance.now(), due = now - polled >= SOCKETS_MS;
  if (due) polled = now;
  for (let i = due ? YIELDS_PER_POLL : 1; i > 0; i--) {
    await new Promise<void>((done) => soon(done));
  }
}
