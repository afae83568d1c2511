/**
 * Result and options of `check`.
 * @module
 */
import type { MemoryPlan } from "../plan/plan.ts";

/**
 * Result of `check`.
 */
export interface CheckResult {
  /** Why it cannot be quantized, in one sentence; undefined where it can. */
  readonly reason?: string;
  /** What config.json calls its architecture; undefined where there is no config.json. */
  readonly family?: string;
  /** How its weights are quantized already: awq, gptq or fp8. */
  readonly quantized?: string;
  /** Where names and shapes of the weights come from: `headers`, names alone from an `index`, or `config` where there are no weights. */
  readonly weights: "headers" | "index" | "config";
  /** Parameters of the model. */
  readonly parameters?: number;
  /** Files that must be there and are not. */
  readonly missing: readonly string[];
  /** Whether it takes pictures. */
  readonly pictures?: boolean;
  /** Tokens of the context that `memory` is for. */
  readonly context?: number;
  /** Bytes that the w4a8 file takes when it runs. */
  readonly memory?: MemoryPlan;
  /** Bytes of the w4a8 file. */
  readonly fileBytes?: number;
  /** Seconds that quantizing with `w4a8` takes on this machine, all defaults; an estimate. */
  readonly seconds?: number;
}

/** Options of `check`. */
export interface CheckOptions {
  /** Threads to plan for; default one per CPU, at most 4. */
  readonly threads?: number;
}
