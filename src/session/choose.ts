/**
 * From logits to the next token: schema constraint, allowed tokens, sampler.
 * @module
 */
import type { AskOptions } from "./ask.ts";
import type { Assets } from "./assets.ts";
import { type Constraint, constraint } from "../constrain/constraint.ts";
import { rulesOf } from "../constrain/json_schema.ts";
import { RuntimeError } from "../graph/error.ts";
import { logprobOf, type TokenLogprob } from "./logprobs.ts";
import { demand, type Sampler, sampler } from "./sample.ts";

/** How tokens are chosen. */
export interface Choice {
  /** Samples from logits. */
  readonly pick: Sampler;
  /** Constraint of the text. */
  readonly constraint?: Constraint;
  /** Alternatives per token whose log-probabilities are returned; undefined: none. */
  readonly logprobs?: number;
}

/**
 * How tokens are chosen under `options`, for an answer of at most `most` tokens.
 * @throws {RuntimeError} "option" or "schema"
 */
export function choiceOf(
  options: AskOptions,
  assets: Assets,
  most: number,
): Choice {
  const { schema, logprobs, stop = [] } = options;
  demand(
    logprobs === undefined ||
      Number.isInteger(logprobs) && logprobs >= 0 && logprobs <= 20,
    "logprobs",
    "a whole number from 0 to 20",
    logprobs,
  );
  demand(
    schema === undefined || stop.length === 0,
    "stop",
    "left out where a schema says how the answer ends",
    stop,
  );
  const pick = sampler(options);
  const choice = logprobs === undefined ? { pick } : { pick, logprobs };
  if (schema === undefined) return choice;
  const { tokenizer, stopIds } = assets, vocabulary = assets.vocabulary();
  const rules = rulesOf(schema);
  return {
    ...choice,
    constraint: constraint(rules, vocabulary, tokenizer, stopIds, most),
  };
}

/** Chooses the tokens of one answer. */
export interface Chooser {
  /** The next token; at most `left` tokens may follow. Overwrites `logits`. */
  next(logits: Float32Array, left: number): number;
  /** Appends `id` to the answer. */
  accept(id: number): void;
  /** Whether the text may end here. */
  readonly whole: boolean;
  /** Whether the text must end here. */
  readonly ended: boolean;
  /** Log-probabilities of the appended tokens. */
  readonly logprobs: readonly TokenLogprob[];
}

/** A chooser for one answer. */
export function chooser(
  { pick, constraint, logprobs: alternatives }: Choice,
  { tokenizer, isAllowed, disallowed }: Pick<
    Assets,
    "tokenizer" | "isAllowed" | "disallowed"
  >,
): Chooser {
  const logprobs: TokenLogprob[] = [];
  let own: Float32Array | undefined; // logits as the model gave them
  return {
    logprobs,
    get whole() {
      return constraint?.whole ?? false;
    },
    get ended() {
      return constraint?.ended ?? false;
    },
    next(logits, left) {
      if (alternatives !== undefined) own = logits.slice();
      constraint?.restrict(logits, left);
      const first = pick(logits);
      if (isAllowed(first)) return first;
      for (const id of disallowed()) logits[id] = -Infinity;
      const id = pick(logits);
      if (isAllowed(id)) return id;
      throw new RuntimeError(
        "values",
        "Cannot answer: no token has a finite logit; the model file is damaged, quantize the checkpoint again",
      );
    },
    accept(id) {
      constraint?.accept(id);
      if (own && alternatives !== undefined) {
        logprobs.push(logprobOf(own, id, alternatives, tokenizer));
      }
    },
  };
}
