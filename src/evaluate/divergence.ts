/**
 * Agreement of two models that have read the same tokens: whether the most
 * likely next token is equal, and the Kullback–Leibler divergence of the
 * distributions.
 * @module
 */
import { argmax } from "../tensor/argmax.ts";

/** Log-softmax of logits. */
export function logSoftmax(logits: ArrayLike<number>): Float64Array {
  let max = -Infinity, sum = 0;
  for (let i = 0; i < logits.length; i++) max = Math.max(max, logits[i]);
  const out = new Float64Array(logits.length);
  for (let i = 0; i < out.length; i++) {
    out[i] = logits[i] - max;
    sum += Math.exp(out[i]);
  }
  const log = Math.log(sum);
  for (let i = 0; i < out.length; i++) out[i] -= log;
  return out;
}

/**
 * Kullback–Leibler divergence Σ p·(log p − log q) of two rows of logits, in
 * nats.
 */
export function divergence(
  truth: ArrayLike<number>,
  other: ArrayLike<number>,
): number {
  const p = logSoftmax(truth), q = logSoftmax(other);
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += Math.exp(p[i]) * (p[i] - q[i]);
  return Math.max(0, sum); // below 0 only by rounding
}

/** Agreement of two models, as sums over tokens; the agreement of several answers is their sum. */
export interface Agreement {
  readonly tokens: number;
  /** Number of tokens whose most likely next token is equal. */
  readonly same: number;
  /** Sum of the divergences, nats. */
  readonly kl: number;
}

/** Compares rows of logits, token by token, up to the shorter length. */
export function agreement(
  truth: readonly ArrayLike<number>[],
  other: readonly ArrayLike<number>[],
): Agreement {
  let same = 0, kl = 0;
  const tokens = Math.min(truth.length, other.length);
  for (let t = 0; t < tokens; t++) {
    if (argmax(truth[t]) === argmax(other[t])) same++;
    kl += divergence(truth[t], other[t]);
  }
  return { tokens, same, kl };
}
