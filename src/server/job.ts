/**
 * A job is one running answer: it waits for its turn, then runs, each for a
 * limited time. The client or the shutdown of the server can end it earlier.
 * @module
 */
import type { Result } from "../session/answer.ts";
import type { Session } from "../session/session.ts";
import { ApiError } from "./error.ts";
import type { Limits } from "./options.ts";
import type { ChatRequest } from "./request.ts";

/** The part of a session that a server uses. */
export type Answering = Pick<Session, "chat" | "info">;

/** The result of a job as clients see it. */
export interface Outcome {
  /** Result of the session. */
  readonly result: Result;
  /** OpenAI's `finish_reason`. */
  readonly finish: "stop" | "length";
}

/** A running answer. */
export interface Job {
  /**
   * Resolves when messages, options and images are valid; never resolves if
   * they are not.
   */
  readonly checked: Promise<void>;
  /** Text pieces as they are generated. */
  readonly pieces: AsyncIterable<string>;
  /** The complete answer; rejects with the error for the client. */
  readonly outcome: Promise<Outcome>;
  /** Cancels the job; it stops at its next step. */
  cancel(): void;
}

/** Signals that end a job. */
export interface Ends {
  /**
   * Aborted when the client disconnects; undefined if that is detected
   * elsewhere.
   */
  readonly gone?: AbortSignal;
  /** Aborted when the server ends. */
  readonly cut?: AbortSignal | undefined;
}

/** Starts an answer; calls `turn` when it leaves the queue. */
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

/** The error for requests during shutdown. */
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
