/**
 * The quantizer's float engine: float32 storage, wasm kernels.
 * @module
 */
import type { Engine } from "../quantize/quantize.ts";
import {
  singleThread,
  startThreadPool,
  type ThreadPool,
} from "./thread_pool.ts";
import { floatEngine } from "./float_engine.ts";

/** A float32 engine, on the main thread by default. */
export function float32Engine(pool: ThreadPool = singleThread()): Engine {
  const engine = floatEngine(pool);
  return {
    zeros: (n) => new Float32Array(n),
    load: (t) => t.float32?.() ?? Float32Array.from(t.read()),
    matmul: engine.matmulTransposed as Engine["matmul"],
    attention: engine.attend as NonNullable<Engine["attention"]>,
    gram: engine.gram as Engine["gram"],
    inverseUpperFactor: engine.inverseUpperFactor,
    gptq: engine.gptq,
  };
}

/** Threads of a float engine by default: one per CPU, at most 4. */
export function defaultThreads(): number {
  return Math.min(navigator.hardwareConcurrency, 4);
}

/** A float32 engine on several threads; dispose it to end them. */
export async function startFloat32Engine(
  threads = defaultThreads(),
): Promise<Engine & Disposable> {
  const pool = await startThreadPool(threads);
  return {
    ...float32Engine(pool),
    [Symbol.dispose]: () => pool[Symbol.dispose](),
  };
}
