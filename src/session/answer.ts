/**
 * An answer in progress: an async iterable of text chunks and a promise of the whole
 * result. Generation starts at the first iteration or await.
 * @module
 */
import type { TokenLogprob } from "./logprobs.ts";

/**
 * How an answer ended: the model stopped, a limit was reached, or it was cancelled.
 *
 * ```ts
 * import { type Finish } from "@mquant/mquant";
 *
 * const whole = (finish: Finish) => finish === "stop";
 * console.log(whole("length")); // false: maxTokens cut it
 * ```
 */
export type Finish = "stop" | "length" | "aborted";

/**
 * Milliseconds of each part of an answer.
 *
 * ```ts
 * import { type Timings } from "@mquant/mquant";
 *
 * const untilFirstToken = ({ queueMs, imageMs, visionMs, prefillMs }: Timings) =>
 *   queueMs + imageMs + visionMs + prefillMs;
 * console.log(untilFirstToken);
 * ```
 */
export interface Timings {
  /** Waiting for earlier requests. */
  readonly queueMs: number;
  /** Decoding and resizing images. */
  readonly imageMs: number;
  /** The vision tower. */
  readonly visionMs: number;
  /** The prompt, up to the first token. */
  readonly prefillMs: number;
  /** All tokens after the first. */
  readonly decodeMs: number;
}

/**
 * A whole answer.
 *
 * ```ts
 * import { type Result } from "@mquant/mquant";
 *
 * const speed = ({ tokens, timings }: Result) =>
 *   (tokens.length - 1) / timings.decodeMs * 1000; // tokens per second
 * console.log(speed);
 * ```
 */
export interface Result {
  /** The text, without leading spaces, special tokens and stop strings. */
  readonly text: string;
  /** Its token ids, without the token that ended it. */
  readonly tokens: number[];
  /** How it ended. */
  readonly finish: Finish;
  /** How long each part took. */
  readonly timings: Timings;
  /** Tokens of the prompt, image tokens included. */
  readonly promptTokens: number;
  /** Prompt tokens that were still in the KV cache from the previous answer. */
  readonly cachedTokens: number;
  /** Log-probability of each token, where `logprobs` is set. */
  readonly logprobs?: readonly TokenLogprob[];
}

/**
 * An answer. Iterate over it for chunks of text as they are generated, or await it
 * for the whole result. Generation starts at the first iteration or await; leaving
 * the iteration early cancels it.
 *
 * ```ts
 * import { type Answer, open } from "@mquant/mquant";
 *
 * await using model = await open(
 *   "models/photo-mini/photo-mini.w4a8.safetensors",
 * );
 * const answer: Answer = model.caption("models/photo-mini/photos/cat.jpg");
 * for await (const piece of answer) console.log(piece);
 * console.log((await answer).finish);
 * ```
 */
export interface Answer extends AsyncIterable<string>, PromiseLike<Result> {}

/** Generates an answer: calls `show` with each chunk of text, returns the result. */
export type Produce = (
  show: (piece: string) => void,
  signal: AbortSignal,
) => Promise<Result>;

/** Creates an answer whose pieces `produce` generates; it is called once. */
export function answer(produce: Produce): Answer {
  const pieces: string[] = [], cancel = new AbortController();
  let result: Promise<Result> | undefined;
  let ended = false, news = Promise.withResolvers<void>();
  const tell = () => {
    news.resolve();
    news = Promise.withResolvers();
  };

  function begin(): Promise<Result> {
    if (!result) {
      const show = (piece: string) => {
        pieces.push(piece);
        tell();
      };
      result = produce(show, cancel.signal).finally(() => {
        ended = true;
        tell();
      });
      result.catch(() => {}); // reported to whoever awaits or iterates
    }
    return result;
  }

  return {
    async *[Symbol.asyncIterator]() {
      const run = begin();
      let whole = false;
      try {
        for (let at = 0;; at++) {
          while (at >= pieces.length && !ended) {
            await news.promise;
          }
          if (at >= pieces.length) break;
          yield pieces[at];
        }
        whole = true;
        await run;
      } finally {
        if (!whole) cancel.abort();
      }
    },
    then: (fulfilled, rejected) => begin().then(fulfilled, rejected),
  };
}
