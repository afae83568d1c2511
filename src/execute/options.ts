/**
 * Options of an engine, and the plan of a model under them.
 * @module
 */
import { RuntimeError } from "../graph/error.ts";
import type { StaticModel } from "../graph/static_model.ts";
import type { Build } from "../kernels/load.ts";
import type { Kernels } from "../kernels/signatures/mod.ts";
import { checkPixels } from "../plan/grids.ts";
import { type Plan, plan } from "../plan/plan.ts";
import { type PixelScale, pixelTable } from "./pixels.ts";
import { canStartWorkers, type Threading } from "./pool.ts";

/** Options of an engine. */
export interface EngineOptions {
  /** Threads, the calling one included, 1 to 64; default the number of CPUs, at most 4. */
  readonly threads?: number;
  /** Largest number of tokens of a conversation; default `DEFAULT_CONTEXT`. */
  readonly context?: number;
  /** Most pixels of an image, for families of native resolution; default from the model file. */
  readonly maxPixels?: number;
  /** Limit of the memory, in bytes. */
  readonly maxMemory?: number;
  /** Limit of one WebAssembly memory, in bytes; further weights go to further memories. Default 4 GiB, less in tests. */
  readonly memoryBytes?: number;
  /** First address used of the first memory, for tests. */
  readonly firstAddress?: number;
  /** Build of the kernels; default: the fastest one that this machine runs. */
  readonly build?: Build;
  /** Aborts loading. */
  readonly signal?: AbortSignal;
  /** Reference kernels instead of the compiled ones, for tests with one thread. */
  readonly kernels?: (buffer: ArrayBufferLike) => Kernels;
  /** Division of work among threads, for tests. */
  readonly threading?: Threading;
}

/** Default context in tokens; less where the model has fewer positions. */
export const DEFAULT_CONTEXT = 2048;

/** Throws a `RuntimeError` "memory" where a plan needs more than `most` bytes. Nothing is allocated yet. */
export function checkMemory({ memory, context }: Plan, most = Infinity): void {
  if (memory.total <= most) return;
  const { total, ...parts } = memory;
  const mb = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
  const sum = Object.entries(parts).map(([k, v]) => `${k} ${mb(v)}`);
  throw new RuntimeError(
    "memory",
    `Cannot open the model: it takes ${mb(total)} (${
      sum.join(", ")
    }), at most ${
      mb(most)
    } are allowed; allow more memory, use a context of fewer than ${context} tokens, or use a smaller model`,
  );
}

/**
 * The plan of a model under options. Allocates no memory.
 * @throws {RuntimeError} "option" or "plan"
 */
export function planFor(
  model: StaticModel,
  pixels: PixelScale | undefined,
  options: Pick<
    EngineOptions,
    "threads" | "context" | "maxPixels" | "memoryBytes" | "firstAddress"
  >,
): Plan {
  const most = Math.floor(model.info.maxPositions / 8) * 8;
  const wanted = options.context ?? Math.min(DEFAULT_CONTEXT, most);
  if (
    !Number.isInteger(wanted) || wanted < 8 || wanted > model.info.maxPositions
  ) {
    throw new RuntimeError(
      "option",
      `Cannot open the model: context must be a whole number from 8 to ${model.info.maxPositions}: current value is ${wanted}`,
    );
  }
  const threads = options.threads ??
    (canStartWorkers() ? Math.min(navigator.hardwareConcurrency, 4) : 1);
  if (!Number.isInteger(threads) || threads < 1 || threads > 64) {
    throw new RuntimeError(
      "option",
      `Cannot open the model: threads must be a whole number from 1 to 64: current value is ${threads}`,
    );
  }
  const { maxPixels, memoryBytes, firstAddress } = options;
  checkPixels(model.info, maxPixels);
  return plan(model, {
    context: Math.ceil(wanted / 8) * 8,
    threads: canStartWorkers() ? threads : 1,
    ...(maxPixels === undefined ? {} : { maxPixels }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(firstAddress === undefined ? {} : { firstAddress }),
    ...(pixels ? { pixelTable: (scale) => pixelTable(pixels, scale) } : {}),
  });
}
