/**
 * The thread pool of a session. The main thread is thread 0 and also works; the
 * others are workers that share its memory. With one thread there is no worker
 * and no shared memory.
 * @module
 */
import { canShare, soon } from "../platform/platform.ts";
import { type ListName, LISTS } from "../plan/lists.ts";
import { COMMAND, send, STOP } from "./command.ts";
import { RuntimeError } from "../graph/error.ts";
import { type Pace, pace } from "./pace.ts";
import type { Plan } from "../plan/plan.ts";
import { mostSteps, REGISTER, type Step, workOf } from "../plan/step.ts";
import { type Place, walk, type Walker } from "./walk.ts";
import type { WorkerStart } from "./worker.ts";

/** How the work of a list is split. Every choice gives the same bits. */
export interface Sharing {
  /** Multiply-adds of a slice, after which the main thread checks the clock. */
  readonly sliceWork: number;
  /** Multiply-adds of a piece of a step; free threads take the next piece. */
  readonly pieceWork: number;
  /** Creates the choice of threading for slices of one kind. */
  readonly pace: () => Pace;
}

/**
 * Defaults: slices of a few ms, threading by measured speed, pieces of about 30
 * µs (taking one costs far less).
 */
const SHARING: Sharing = { sliceWork: 2e8, pieceWork: 2e6, pace };

/** Longest time between two turns of the event loop, in milliseconds. */
const TURN_MS = 8;

const WORKER = new URL("./worker.ts", import.meta.url);

/** Whether workers can be started here. */
export function canStartWorkers(): boolean {
  return canShare(WORKER);
}

/** Threads over one memory. */
export class Pool implements AsyncDisposable {
  /** Called with the time of each step on the main thread, including waiting. */
  measure: ((step: Step, ms: number) => void) | undefined;
  readonly #workers: Worker[] = [];
  readonly #lists: readonly (readonly Step[])[];
  readonly #words: Int32Array;
  readonly #shared: Int32Array;
  readonly #alone: Walker;
  readonly #together: Walker;
  /**
   * Choices by list and by the kernel with most of a slice's work, because
   * kernels scale differently.
   */
  readonly #paces = new Map<string, Pace>();
  readonly #sharing: Sharing;
  #turn = 0;
  #closed = false;

  private constructor(
    plan: Plan,
    memories: readonly Place[],
    sharing: Sharing,
  ) {
    this.#sharing = sharing;
    const { barrier, command, registers, taken } = plan.control;
    this.#lists = LISTS.map((name) => plan[name]?.steps ?? []);
    const { buffer } = memories[0];
    this.#words = new Int32Array(buffer, command, 16);
    this.#shared = new Int32Array(buffer, registers, plan.registers);
    this.#alone = {
      memories,
      thread: 0,
      threads: 1,
      copies: plan.threads,
      barrier,
      registers: new Int32Array(plan.registers),
      taken: new Int32Array(buffer, taken, mostSteps(this.#lists)),
      pieceWork: sharing.pieceWork,
    };
    this.#together = { ...this.#alone, threads: plan.threads, copies: 1 };
  }

  /**
   * Starts the threads of a plan. If workers cannot start (for example in a
   * bundle without the worker's file), the main thread works alone.
   * @param module the module of the workers
   */
  static async start(
    plan: Plan,
    memories: readonly WebAssembly.Memory[],
    module: WebAssembly.Module,
    places: readonly Place[],
    sharing: Sharing = SHARING,
  ): Promise<Pool> {
    const pool = new Pool(plan, places, sharing);
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
          pieceWork: sharing.pieceWork,
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

  /** Number of threads, including the main one. */
  get threads(): number {
    return this.#workers.length + 1;
  }

  /**
   * Runs the steps [0, to) of a list. Between slices the event loop turns, so
   * signals and timers are served; an abort stops before the next slice.
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
    this.#alone.registers.set(registers); // both walkers have the same
    this.#alone.registers[REGISTER.thread] = 0;
    for (let from = 0; from < to;) {
      signal?.throwIfAborted();
      let work = 0, end = from, most = 0, heaviest = "";
      while (end < to && (end === from || work < this.#sharing.sliceWork)) {
        const step = steps[end++], own = workOf(step, registers);
        work += own;
        if (own > most) most = own, heaviest = step.kernel;
      }
      const pace = this.#pace(`${name} ${heaviest}`), begin = performance.now();
      const shared = this.#workers.length > 0 && pace.shared();
      if (shared) {
        this.#alone.taken.fill(0, from, end);
        send(this.#words, list, from, end);
      }
      const walker = shared ? this.#together : this.#alone;
      walk(walker, steps, from, end, this.measure);
      pace.note(shared, work, performance.now() - begin);
      if (this.#words[COMMAND.failed] !== 0) {
        throw new RuntimeError(
          "worker",
          "Cannot run the model: a kernel failed on another thread",
        );
      }
      from = end;
      if (performance.now() - this.#turn > TURN_MS) {
        await turn();
        this.#turn = performance.now();
      }
    }
    signal?.throwIfAborted();
  }

  #pace(key: string): Pace {
    let known = this.#paces.get(key);
    if (!known) this.#paces.set(key, known = this.#sharing.pace());
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

/** Settles when a worker reports that it is ready, or failed. */
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
 * A turn by `soon` takes 0.02 ms, but Deno polls sockets only every 61 of them:
 * every half second at TURN_MS. Therefore every SOCKETS_MS that many turns run
 * together, which takes 0.1 ms; a timer would poll each time, but takes at
 * least 1.2 ms.
 */
const SOCKETS_MS = 50, TURNS_TO_SOCKETS = 64;
let asked = 0;

/** Lets the event loop turn, so that timers, signals and sockets are heard. */
async function turn(): Promise<void> {
  const now = performance.now(), due = now - asked >= SOCKETS_MS;
  if (due) asked = now;
  for (let i = due ? TURNS_TO_SOCKETS : 1; i > 0; i--) {
    await new Promise<void>((done) => soon(done));
  }
}
