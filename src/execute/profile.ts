/**
 * Profile: milliseconds per kernel on the main thread, waiting for other threads
 * included.
 * @module
 */
import type { Engine } from "./engine.ts";

/**
 * Time of one kernel.
 *
 * ```ts
 * import { type KernelTime } from "@mquant/mquant";
 *
 * const each = ({ kernel, ms, calls }: KernelTime) => `${kernel} ${ms / calls} ms`;
 * console.log(each);
 * ```
 */
export interface KernelTime {
  /** Name of the kernel. */
  readonly kernel: string;
  /** Number of calls. */
  readonly calls: number;
  /** Total time in milliseconds. */
  readonly ms: number;
}

/**
 * Time per kernel, longest first.
 *
 * ```ts
 * import { open, type Profile } from "@mquant/mquant";
 *
 * await using model = await open(
 *   "models/photo-mini/photo-mini.w4a8.safetensors",
 * );
 * const { kernels, totalMs }: Profile = await model.profile(() =>
 *   model.caption("models/photo-mini/photos/cat.jpg", { maxTokens: 4 })
 * );
 * console.log(kernels[0].kernel, totalMs);
 * ```
 */
export interface Profile {
  /** One entry per kernel. */
  readonly kernels: readonly KernelTime[];
  /** Wall time in milliseconds. */
  readonly totalMs: number;
}

/** Runs `work` and measures the engine's steps during it. */
export async function profile(
  engine: Engine,
  work: () => PromiseLike<unknown>,
): Promise<Profile> {
  const times = new Map<string, { calls: number; ms: number }>();
  engine.measure = ({ kernel }, ms) => {
    const t = times.get(kernel) ?? { calls: 0, ms: 0 };
    t.calls++, t.ms += ms;
    times.set(kernel, t);
  };
  const begin = performance.now();
  try {
    await work();
  } finally {
    engine.measure = undefined;
  }
  const totalMs = performance.now() - begin;
  const kernels = [...times].map(([kernel, t]) => ({ kernel, ...t }))
    .sort((a, b) => b.ms - a.ms);
  return { kernels, totalMs };
}
