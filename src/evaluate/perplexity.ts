/**
 * Perplexity: exp of the mean negative log-likelihood of the next token. The
 * text is cut into windows without overlap; each starts with an empty cache,
 * and all its tokens but the first are predicted.
 * @module
 */
import { channelsIn } from "../graph/node.ts";
import type { Executor, Floats } from "../graph/executor.ts";
import type { Hooks } from "../graph/ops/mod.ts";
import { type Loaded, runText } from "../graph/run.ts";
import { newSequence } from "../graph/runner.ts";

/**
 * Negative log-likelihood: the sum of −ln p over the predicted tokens of a
 * text.
 */
export interface NegLogLikelihood {
  readonly nll: number;
  readonly tokens: number;
}

/** A model that returns logits token by token from an empty cache: the engine. */
export interface Reader {
  reset(): void;
  prefill(ids: ArrayLike<number>): Promise<ArrayLike<number>>;
  decode(id: number): Promise<ArrayLike<number>>;
}

/**
 * The first `count` windows of `length` tokens.
 * @throws {RangeError} if the text is shorter
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

/** −ln p(id) from logits [vocabulary]. */
export function tokenNll(logits: ArrayLike<number>, id: number): number {
  let max = -Infinity, sum = 0;
  for (let i = 0; i < logits.length; i++) max = Math.max(max, logits[i]);
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - max);
  return max + Math.log(sum) - logits[id];
}

/** Perplexity of all parts together. */
export function perplexity(parts: readonly NegLogLikelihood[]): number {
  const nll = parts.reduce((sum, p) => sum + p.nll, 0);
  return Math.exp(nll / parts.reduce((sum, p) => sum + p.tokens, 0));
}

/** Negative log-likelihood of a window, computed by the engine token by token. */
export async function engineNll(
  reader: Reader,
  window: readonly number[],
): Promise<NegLogLikelihood> {
  reader.reset();
  let nll = 0, logits = await reader.prefill(window.slice(0, 1));
  for (let i = 1; i < window.length; i++) {
    nll += tokenNll(logits, window[i]);
    if (i + 1 < window.length) logits = await reader.decode(window[i]);
  }
  return { nll, tokens: window.length - 1 };
}

/**
 * Negative log-likelihood of a window, computed by the interpreter in one run:
 * in float, or with hooks in simulated quantization.
 */
export function interpreterNll(
  loaded: Loaded,
  window: readonly number[],
  hooks: Hooks = {},
): NegLogLikelihood {
  const { vocabulary } = loaded.model.info;
  const logits = runText(
    loaded,
    [{ sequence: newSequence(), ids: window }],
    { ...hooks, everyRow: true },
  );
  let nll = 0;
  for (let i = 1; i < window.length; i++) {
    const row = logits.subarray((i - 1) * vocabulary, i * vocabulary);
    nll += tokenNll(row, window[i]);
  }
  return { nll, tokens: window.length - 1 };
}

/**
 * Hooks that simulate dynamic quantization for comparison: each input row of a
 * linear gets an int8 scale from its largest magnitude; queries, keys and
 * values get one per head and row. For evaluation only; no kernel does this.
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
