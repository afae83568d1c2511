/**
 * The quantizer's float engine on the kernels: float32 storage, wasm products.
 * @module
 */
import type { Engine } from "../quantize/quantize.ts";
import { alone, type Crew, startCrew } from "./crew.ts";
import { floatEngine } from "./float_engine.ts";

/** A float32 engine of its own, on the main thread where no crew is given. */
export function float32Engine(crew: Crew = alone()): Engine {
  const engine = floatEngine(crew);
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

/** A float32 engine on several threads; disposing of it ends them. */
export async function startFloat32Engine(
  threads = defaultThreads(),
): Promise<Engine & Disposable> {
  const crew = await startCrew(threads);
  return {
    ...float32Engine(crew),
    [Symbol.dispose]: () => crew[Symbol.dispose](),
  };
}
