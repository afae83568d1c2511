/**
 * Options of the engine, and the plan that follows from them.
 * @module
 */
import { RuntimeError } from "../graph/error.ts";
import type { StaticModel } from "../graph/static_model.ts";
import type { Build } from "../kernels/load.ts";
import type { Kernels } from "../kernels/signatures/mod.ts";
import { checkPixels } from "../plan/grids.ts";
import { type Plan, plan } from "../plan/plan.ts";
import { type PixelScale, pixelTable } from "./pixels.ts";
import { canStartWorkers, type Sharing } from "./pool.ts";

/** Options of the engine. */
export interface EngineOptions {
  /** Number of threads, including the calling one. */
  readonly threads?: number;
  /** Context length in tokens. */
  readonly context?: number;
  /**
   * Maximum pixels of a picture, for native-resolution families; default: the
   * model file's value.
   */
  readonly maxPixels?: number;
  /** Maximum bytes of the model's memory. */
  readonly maxMemory?: number;
  /**
   * Maximum bytes of one WebAssembly memory; further weights go into further
   * memories. Default 4 GiB, less for tests.
   */
  readonly memoryBytes?: number;
  /** First address used of the first memory, for tests. */
  readonly firstAddress?: number;
  readonly build?: Build;
  readonly signal?: AbortSignal;
  /** Kernels over the given memory instead of the compiled ones, for tests with one thread. */
  readonly kernels?: (buffer: ArrayBufferLike) => Kernels;
  /** How work is split over threads, for tests. */
  readonly sharing?: Sharing;
}

/** Default context length; less if the model has fewer positions. */
export const DEFAULT_CONTEXT = 2048;

/**
 * Checks the memory of a plan before anything is allocated.
 * @throws {RuntimeError} "memory" if it needs more than `most` bytes
 */
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

/** The plan of a model with these options; no memory is allocated. */
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
