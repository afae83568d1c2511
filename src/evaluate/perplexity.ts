/**
 * Perplexity: exp of the mean negative log-likelihood of each next token. A
 * text is cut into windows that do not overlap, each read from an empty cache;
 * all tokens of a window but its first are predicted.
 * @module
 */
import { channelsIn } from "../graph/node.ts";
import type { Executor, Floats } from "../graph/executor.ts";
import type { Hooks } from "../graph/ops/mod.ts";
import { type Loaded, runText } from "../graph/run.ts";
import { newSequence } from "../graph/runner.ts";

/** What a text cost: the sum of −ln p over its predicted tokens. */
export interface Surprise {
  readonly nll: number;
  readonly tokens: number;
}

/** What can be asked for logits token by token, from an empty cache on: the runtime's engine. */
export interface Reader {
  reset(): void;
  prefill(ids: ArrayLike<number>): Promise<ArrayLike<number>>;
  decode(id: number): Promise<ArrayLike<number>>;
}

/**
 * The first `count` windows of `length` tokens.
 * @throws {RangeError} where the text is shorter
 */
export function windowsOf(
  ids: readonly number[],
  length: number,
  count: number,
): number[][] {
  if (ids.length < length * count) {
    throw new RangeError(
      `Cannot cut ${count} windows of ${length} tokens: the text has ${ids.length}`,
    );
  }
  return Array.from(
    { length: count },
    (_, i) => ids.slice(i * length, (i + 1) * length),
  );
}

/** −ln p(id), from logits in the order of the vocabulary. */
export function surpriseOf(logits: ArrayLike<number>, id: number): number {
  let max = -Infinity, sum = 0;
  for (let i = 0; i < logits.length; i++) max = Math.max(max, logits[i]);
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - max);
  return max + Math.log(sum) - logits[id];
}

/** exp of the mean over all parts. */
export function perplexity(parts: readonly Surprise[]): number {
  const nll = parts.reduce((sum, p) => sum + p.nll, 0);
  return Math.exp(nll / parts.reduce((sum, p) => sum + p.tokens, 0));
}

/** A window read by the runtime, token by token, as it would be answered. */
export async function readSurprise(
  reader: Reader,
  window: readonly number[],
): Promise<Surprise> {
  reader.reset();
  let nll = 0, logits = await reader.prefill(window.slice(0, 1));
  for (let i = 1; i < window.length; i++) {
    nll += surpriseOf(logits, window[i]);
    if (i + 1 < window.length) logits = await reader.decode(window[i]);
  }
  return { nll, tokens: window.length - 1 };
}

/** A window read by the interpreter at once: the float truth, or with hooks a simulation. */
export function floatSurprise(
  loaded: Loaded,
  window: readonly number[],
  hooks: Hooks = {},
): Surprise {
  const { vocabulary } = loaded.model.info;
  const logits = runText(
    loaded,
    [{ sequence: newSequence(), ids: window }],
    { ...hooks, everyRow: true },
  );
  let nll = 0;
  for (let i = 1; i < window.length; i++) {
    const row = logits.subarray((i - 1) * vocabulary, i * vocabulary);
    nll += surpriseOf(row, window[i]);
  }
  return { nll, tokens: window.length - 1 };
}

/**
 * The hooks of dynamic quantization, to compare static scales with: each row
 * that enters a linear gets the int8 scale of its own largest magnitude, queries,
 * keys and values that of each head of a row. A simulation for evaluation only;
 * no kernel does this.
 */
export function dynamicHooks({ zeros }: Pick<Executor, "zeros">): Hooks {
  const perRow = (x: Floats, width: number): Floats => {
    const y = zeros(x.length);
    for (let row = 0; row < x.length; row += width) {
      let max = 0;
      for (let i = row; i < row + width; i++) {
        max = Math.max(max, Math.abs(x[i]));
      }
      const scale = max / 127 || 1;
      for (let i = row; i < row + width; i++) {
        y[i] = Math.round(x[i] / scale) * scale;
      }
    }
    return y;
  };
  return {
    input: (node, x) => perRow(x, channelsIn(node)),
    heads: (node, _part, x) => perRow(x, node.headDim),
  };
}
