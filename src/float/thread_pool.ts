/**
 * Thread pool for the float work of calibration. A task has one part per thread; the
 * main thread does the first part and waits for the others. Parts split outputs,
 * never a sum, so any number of threads gives the same bits.
 *
 * ```text
 *   main     task ──┬── part 0 ──────────────┬── next task
 *   worker          └── part 1 ─── done + 1 ─┘
 * ```
 *
 * @module
 */
import { instantiateSync } from "@assemblyscript/loader";
import {
  runPart,
  type Task,
  type WorkerContext,
  type WorkerStart,
} from "./task.ts";
import { kernelMemory, kernelModule } from "../kernels/load.ts";

/** Threads that share one wasm memory. */
export interface ThreadPool extends Disposable {
  /** Number of threads, the main thread included. */
  readonly threads: number;
  /** The shared memory. */
  readonly memory: WebAssembly.Memory;
  /** Runs all parts of a task and returns when they are done; a `small` task runs on the main thread alone. */
  run(task: Task, small?: boolean): void;
}

/** A pool that consists of the main thread only. */
export function singleThread(): ThreadPool {
  const memory = kernelMemory(1, false);
  const context = contextOf(kernelModule("simd", false), memory);
  return {
    threads: 1,
    memory,
    run: (task) => runPart(context, task, 0, 1),
    [Symbol.dispose]() {},
  };
}

function contextOf(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): WorkerContext {
  const { exports } = instantiateSync(module, { env: { memory } });
  return {
    memory,
    gemm: (exports as unknown as { gemm_f32__simd_4x8: WorkerContext["gemm"] })
      .gemm_f32__simd_4x8,
  };
}

const WORKER = new URL("./thread_worker.ts", import.meta.url);

/** Starts `threads` − 1 workers; needs permission to read their module. */
export async function startThreadPool(threads: number): Promise<ThreadPool> {
  if (threads === 1) return singleThread();
  const memory = kernelMemory(1, true), module = kernelModule("simd", true);
  const context = contextOf(module, memory);
  const done = new Int32Array(new SharedArrayBuffer(8)); // parts done, parts failed
  const workers: Worker[] = [];
  const end = () => workers.splice(0).forEach((w) => w.terminate());
  try {
    await Promise.all(Array.from({ length: threads - 1 }, (_, i) => {
      const worker = new Worker(WORKER, {
        type: "module",
        name: `mquant float ${i + 1}`,
      });
      workers.push(worker);
      const start: WorkerStart = {
        module,
        memory,
        done,
        thread: i + 1,
        threads,
      };
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
      if (small) return runPart(context, task, 0, 1);
      Atomics.store(done, 0, 0);
      for (const worker of workers) worker.postMessage(task);
      runPart(context, task, 0, threads);
      for (let n; (n = Atomics.load(done, 0)) < threads - 1;) {
        Atomics.wait(done, 0, n);
      }
      if (done[1] > 0) {
        throw new Error("Cannot continue: a thread of the float engine failed");
      }
    },
    [Symbol.dispose]: end,
  };
}

/** Resolves when a worker is ready; rejects where it cannot start. */
function started(worker: Worker): Promise<void> {
  return new Promise((ready, refuse) => {
    worker.onmessage = () => ready();
    worker.onerror = (event) => {
      event.preventDefault();
      refuse(new Error(event.message));
    };
  });
}
