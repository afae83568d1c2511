/**
 * Sampling: the next token from logits, greedy or with temperature, top-k and top-p.
 * Only +, −, × and ÷ are used, so a seed gives the same tokens on every machine.
 * @module
 */
import { argmax } from "../tensor/argmax.ts";
import { exp } from "../tensor/math.ts";
import { type Random, random, uniform } from "../tensor/random.ts";
import { RuntimeError } from "../graph/error.ts";

/**
 * Options of sampling.
 *
 * ```ts
 * import { type SampleOptions } from "@mquant/mquant";
 *
 * const lively: SampleOptions = { temperature: 0.8, topP: 0.9, seed: 7 };
 * console.log(lively);
 * ```
 */
export interface SampleOptions {
  /** 0 is greedy; 1 samples the model's own distribution. Default 0. */
  readonly temperature?: number;
  /** Sample from the k largest logits; default all. */
  readonly topK?: number;
  /** Sample from the most likely tokens whose probabilities sum to this; default 1. */
  readonly topP?: number;
  /** Seed, a whole number; default 0. */
  readonly seed?: number;
}

/** Picks a token id from logits. */
export type Sampler = (logits: Float32Array) => number;

/** Throws a `RuntimeError` "option" unless `good`. */
export function demand(
  good: boolean,
  name: string,
  wish: string,
  value: unknown,
): void {
  if (good) return;
  throw new RuntimeError(
    "option",
    `Cannot answer: ${name} must be ${wish}: current value is ${value}`,
  );
}

/** A sampler; its random numbers continue from token to token. */
export function sampler(options: SampleOptions = {}): Sampler {
  const { temperature = 0, topK = Infinity, topP = 1, seed = 0 } = options;
  demand(
    temperature >= 0 && temperature <= 100,
    "temperature",
    "from 0 to 100",
    temperature,
  );
  demand(
    topK === Infinity || Number.isInteger(topK) && topK >= 1,
    "topK",
    "a whole number from 1",
    topK,
  );
  demand(topP > 0 && topP <= 1, "topP", "above 0 and at most 1", topP);
  demand(Number.isSafeInteger(seed), "seed", "a whole number", seed);
  if (temperature === 0 || topK === 1) return argmax;
  const next = random(seed);
  return (logits) => draw(logits, temperature, topK, topP, next);
}

function draw(
  logits: Float32Array,
  temperature: number,
  topK: number,
  topP: number,
  next: Random,
): number {
  const ids = Int32Array.from(logits.keys())
    .sort((a, b) => logits[b] - logits[a] || a - b)
    .subarray(0, Math.min(topK, logits.length));
  const top = logits[ids[0]];
  const weights = Float64Array.from(
    ids,
    (id) => exp(Math.max(-700, (logits[id] - top) / temperature)),
  );
  let total = 0;
  for (const w of weights) total += w;
  let count = 0, kept = 0;
  while (count < ids.length && kept < topP * total) kept += weights[count++];
  while (logits[ids[count - 1]] === -Infinity && count > 1) count--; // ruled out
  let at = uniform(next) * kept;
  for (let i = 0; i < count; i++) {
    at -= weights[i];
    if (at < 0) return ids[i];
  }
  return ids[count - 1];
}
