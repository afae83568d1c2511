/**
 * Log-probabilities of tokens: log-softmax of the model's logits, before
 * temperature, top-k, top-p or a schema change them.
 * @module
 */
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/**
 * A token and its log-probability.
 *
 * ```ts
 * import { type Likelihood } from "@mquant/mquant";
 *
 * const percent = ({ text, logprob }: Likelihood) =>
 *   `${text} ${Math.round(100 * Math.exp(logprob))} %`;
 * console.log(percent);
 * ```
 */
export interface Likelihood {
  /** Its id. */
  readonly id: number;
  /** Its text; incomplete UTF-8 is U+FFFD. */
  readonly text: string;
  /** Its bytes. */
  readonly bytes: Uint8Array;
  /** Natural logarithm of its probability, 0 at most. */
  readonly logprob: number;
}

/**
 * The chosen token, and the most likely ones at its position.
 *
 * ```ts
 * import { open, type TokenLogprob } from "@mquant/mquant";
 *
 * await using model = await open(
 *   "models/photo-mini/photo-mini.w4a8.safetensors",
 * );
 * const { logprobs = [] } = await model.caption("models/photo-mini/photos/cat.jpg", { logprobs: 2 });
 * const unsure = ({ logprob }: TokenLogprob) => logprob < Math.log(0.5);
 * console.log(logprobs.filter(unsure).map((token) => token.text));
 * ```
 */
export interface TokenLogprob extends Likelihood {
  /** The most likely tokens, most likely first; as many as requested. */
  readonly top: readonly Likelihood[];
}

/** Log-probabilities of token `id` and of the `count` most likely tokens. */
export function logprobOf(
  logits: Float32Array,
  id: number,
  count: number,
  tokenizer: Tokenizer,
): TokenLogprob {
  let most = -Infinity;
  for (const x of logits) if (x > most) most = x;
  let sum = 0;
  for (const x of logits) sum += Math.exp(x - most);
  const all = most + Math.log(sum);
  const likelihood = (id: number): Likelihood => {
    const bytes = tokenizer.bytesOf(id) ?? new Uint8Array(0);
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    return { id, text, bytes, logprob: Math.min(0, logits[id] - all) };
  };
  return {
    ...likelihood(id),
    top: likeliest(logits, count).map(likelihood),
  };
}

/** Ids of the `count` largest logits, largest first; ties by lower id. */
function likeliest(logits: Float32Array, count: number): number[] {
  const top: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (top.length === count && !(logits[id] > logits[top[count - 1]])) {
      continue;
    }
    let at = top.length;
    while (at > 0 && logits[id] > logits[top[at - 1]]) at--;
    top.splice(at, 0, id);
    if (top.length > count) top.pop();
  }
  return top;
}
