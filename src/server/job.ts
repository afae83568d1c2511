/**
 * One answer under way: waiting for its turn within a time, then running within
 * a time, ended early by whoever asked or by the end of the server.
 * @module
 */
import type { Result } from "../session/answer.ts";
import type { Session } from "../session/session.ts";
import { ApiError } from "./error.ts";
import type { Limits } from "./options.ts";
import type { ChatRequest } from "./request.ts";

/** What a job needs of a session. */
export type Answering = Pick<Session, "chat" | "info">;

/** How an answer ended, as clients are told. */
export interface Outcome {
  /** What the session returned. */
  readonly result: Result;
  /** OpenAI's `finish_reason`. */
  readonly finish: "stop" | "length";
}

/** An answer under way. */
export interface Job {
  /** Resolves when the request has been found good: messages, options, images; never where it is not. */
  readonly checked: Promise<void>;
  /** Pieces of text as they come. */
  readonly pieces: AsyncIterable<string>;
  /** The whole; rejects with what the client is told. */
  readonly outcome: Promise<Outcome>;
  /** Ends it: it gives its turn to the next one at its next step. */
  cancel(): void;
}

/** Signals that end a job. */
export interface Ends {
  /** The client has gone; undefined where that is heard otherwise. */
  readonly gone?: AbortSignal;
  /** The server ends. */
  readonly cut?: AbortSignal | undefined;
}

/** Begins an answer; `turn` is called when its turn comes. */
export function begin(
  session: Answering,
  { messages, options }: ChatRequest,
  limits: Pick<Limits, "queueMs" | "answerMs">,
  { gone, cut }: Ends,
  turn: () => void,
): Job {
  const controller = new AbortController();
  let ending: "timeout" | ApiError | undefined; // why we ended it
  const end = (why: "timeout" | ApiError) => {
    ending ??= why;
    controller.abort();
  };
  const leave = () =>
    end(new ApiError("cancelled", "Cannot answer: cancelled"));
  const cutOff = () => end(shuttingDown());
  let timer: ReturnType<typeof setTimeout> | undefined, running = false;
  const checked = Promise.withResolvers<void>();
  const begun = () => {
    if (running) return;
    running = true;
    clearTimeout(timer);
    timer = setTimeout(() => end("timeout"), limits.answerMs);
    turn();
  };
  const answer = session.chat(messages, {
    ...options,
    signal: controller.signal,
    onProgress({ stage }) {
      begun();
      // Prompt and images have been read when the prompt is run.
      if (stage === "prefill" || stage === "decode") checked.resolve();
    },
  });
  if (gone?.aborted) leave();
  if (cut?.aborted) cutOff();
  gone?.addEventListener("abort", leave);
  cut?.addEventListener("abort", cutOff);
  const { queueMs } = limits;
  timer = setTimeout(() => end(queueTimeout(queueMs)), queueMs);
  const outcome = (async (): Promise<Outcome> => {
    try {
      const result = await answer;
      if (result.finish !== "aborted") return { result, finish: result.finish };
      if (ending instanceof ApiError) throw ending;
      if (ending === "timeout") return { result, finish: "length" };
      throw shuttingDown(); // the session was closed
    } finally {
      clearTimeout(timer);
      gone?.removeEventListener("abort", leave);
      cut?.removeEventListener("abort", cutOff);
    }
  })();
  outcome.catch(() => {}); // whoever awaits it gets it
  return { checked: checked.promise, pieces: answer, outcome, cancel: leave };
}

/** The server takes no more requests. */
export function shuttingDown(): ApiError {
  return new ApiError(
    "shutting_down",
    "Cannot answer: the server is shutting down; ask again in a moment",
    null,
    { "retry-after": "5" },
  );
}

function queueTimeout(ms: number): ApiError {
  return new ApiError(
    "queue_timeout",
    `Cannot answer: no turn came within ${
      ms / 1000
    } s; ask again when the server is less busy`,
    null,
    { "retry-after": "10" },
  );
}
