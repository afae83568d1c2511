/**
 * Worker of the float thread pool: receives the kernels and the memory once, then
 * runs its part of each task.
 * @module
 */
import { instantiateSync } from "@assemblyscript/loader";
import {
  runPart,
  type Task,
  type WorkerContext,
  type WorkerStart,
} from "./task.ts";

/** The worker's side of the global scope, which the library types do not name. */
interface Scope {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: string): void;
}
const scope = globalThis as unknown as Scope;

scope.onmessage = ({ data }: MessageEvent<WorkerStart>) => {
  const { module, memory, done, thread, threads } = data;
  const { exports } = instantiateSync(module, { env: { memory } });
  const { gemm_f32__simd_4x8: gemm } = exports as unknown as {
    gemm_f32__simd_4x8: WorkerContext["gemm"];
  };
  scope.onmessage = ({ data }: MessageEvent<Task>) => {
    memory.grow(0); // the main thread may have grown it: from here on `buffer` is all of it
    try {
      runPart({ memory, gemm }, data, thread, threads);
    } catch {
      Atomics.add(done, 1, 1); // the main thread reports it
    }
    Atomics.add(done, 0, 1);
    Atomics.notify(done, 0);
  };
  scope.postMessage("ready");
};
