/**
 * Threads for the float work of calibration. The main thread cuts a task into
 * as many parts as there are threads, does the first itself and waits for the
 * others. Parts are cut by output, never along a sum: any number of threads
 * gives the same bits.
 *
 * ```text
 *   main     task ──┬── part 0 ──────────────┬── next task
 *   worker          └── part 1 ─── done + 1 ─┘
 * ```
 *
 * @module
 */
import { instantiateSync } from "@assemblyscript/loader";
import { type Bench, type CrewStart, doPart, type Task } from "./crew_task.ts";
import { kernelMemory, kernelModule } from "../kernels/load.ts";

/** Threads over one wasm memory. */
export interface Crew extends Disposable {
  /** How many, the main one included. */
  readonly threads: number;
  /** What all of them work in. */
  readonly memory: WebAssembly.Memory;
  /** Does all parts of a task, on one thread where it is so `small`; returns when they are done. */
  run(task: Task, small?: boolean): void;
}

/** The main thread alone. */
export function alone(): Crew {
  const memory = kernelMemory(1, false);
  const bench = benchOf(kernelModule("simd", false), memory);
  return {
    threads: 1,
    memory,
    run: (task) => doPart(bench, task, 0, 1),
    [Symbol.dispose]() {},
  };
}

function benchOf(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Bench {
  const { exports } = instantiateSync(module, { env: { memory } });
  return {
    memory,
    gemm: (exports as unknown as { gemm_f32__simd_4x8: Bench["gemm"] })
      .gemm_f32__simd_4x8,
  };
}

const WORKER = new URL("./crew_worker.ts", import.meta.url);

/** Starts `threads` − 1 workers; needs leave to read their module. */
export async function startCrew(threads: number): Promise<Crew> {
  if (threads === 1) return alone();
  const memory = kernelMemory(1, true), module = kernelModule("simd", true);
  const bench = benchOf(module, memory);
  const done = new Int32Array(new SharedArrayBuffer(8)); // parts done, parts failed
  const workers: Worker[] = [];
  const end = () => workers.splice(0).forEach((w) => w.terminate());
  try {
    await Promise.all(Array.from({ length: threads - 1 }, (_, i) => {
      const worker = new Worker(WORKER, {
        type: "module",
        name: `mquant crew ${i + 1}`,
      });
      workers.push(worker);
      const start: CrewStart = { module, memory, done, thread: i + 1, threads };
      worker.postMessage(start);
      return started(worker);
    }));
  } catch (error) {
    end();
    throw error;
  }
  return {
    threads,
    memory,
    run(task, small = false) {
      if (small) return doPart(bench, task, 0, 1);
      Atomics.store(done, 0, 0);
      for (const worker of workers) worker.postMessage(task);
      doPart(bench, task, 0, threads);
      for (let n; (n = Atomics.load(done, 0)) < threads - 1;) {
        Atomics.wait(done, 0, n);
      }
      if (done[1] > 0) {
        throw new Error("Cannot go on: a thread of the float engine failed");
      }
    },
    [Symbol.dispose]: end,
  };
}

/** Settles when a worker says that it is ready, or cannot be. */
function started(worker: Worker): Promise<void> {
  return new Promise((ready, refuse) => {
    worker.onmessage = () => ready();
    worker.onerror = (event) => {
      event.preventDefault();
      refuse(new Error(event.message));
    };
  });
}
