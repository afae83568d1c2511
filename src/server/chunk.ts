/**
 * The objects of OpenAI's chat completions.
 * @module
 */
import type { Result } from "../session/answer.ts";
import type { Likelihood } from "../session/logprobs.ts";
import type { Outcome } from "./job.ts";

/** Fields that all objects of an answer share. */
export interface Head {
  /** `chatcmpl-…`. */
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  /** Name of the model. */
  readonly model: string;
}

/** A new head, with a random id. */
export function head(model: string): Head {
  return {
    id: `chatcmpl-${crypto.randomUUID().replaceAll("-", "")}`,
    created: Math.floor(Date.now() / 1000),
    model,
  };
}

/** OpenAI's `usage`: token counts. */
export function usage({ promptTokens, cachedTokens, tokens }: Result): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: tokens.length,
    total_tokens: promptTokens + tokens.length,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** `timings`: milliseconds of each part, in addition to OpenAI's fields. */
export function timings({ timings: t }: Result): object {
  const ms = (x: number) => Math.round(x * 10) / 10;
  return {
    queue_ms: ms(t.queueMs),
    image_ms: ms(t.imageMs),
    vision_ms: ms(t.visionMs),
    prefill_ms: ms(t.prefillMs),
    decode_ms: ms(t.decodeMs),
  };
}

/** Log-probabilities of the tokens; null if they were not requested. */
export function logprobs({ logprobs }: Result): object | null {
  if (!logprobs) return null;
  const one = ({ text, logprob, bytes }: Likelihood) => ({
    token: text,
    logprob,
    bytes: [...bytes],
  });
  return {
    content: logprobs.map(({ top, ...taken }) => ({
      ...one(taken),
      top_logprobs: top.map(one),
    })),
    refusal: null,
  };
}

/** A complete answer, not streamed. */
export function completion(
  { id, created, model }: Head,
  { result, finish }: Outcome,
): object {
  const content = result.text.trimStart();
  return {
    id,
    object: "chat.completion",
    created,
    model,
    choices: [{
      index: 0,
      message: { role: "assistant", content, refusal: null },
      logprobs: logprobs(result),
      finish_reason: finish,
    }],
    usage: usage(result),
    timings: timings(result),
  };
}

/**
 * A chunk of a streamed answer; the last chunk has the log-probabilities of all
 * tokens.
 */
export function chunk(
  { id, created, model }: Head,
  delta: object,
  finish: string | null = null,
  logprobs: object | null = null,
): object {
  return {
    id,
    object: "chat.completion.chunk",
    created,
    model,
    choices: [{ index: 0, delta, logprobs, finish_reason: finish }],
  };
}

/** The last chunk of a stream with `include_usage`. */
export function usageChunk(head: Head, result: Result): object {
  return { ...chunk(head, {}), choices: [], usage: usage(result) };
}
