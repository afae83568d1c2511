/**
 * A streamed answer as server-sent events: role, text pieces, finish reason,
 * usage if requested, `[DONE]`. A failure is an event, too, so every event is
 * complete.
 * @module
 */
import { chunk, head, logprobs, timings, usageChunk } from "./chunk.ts";
import type { ApiError } from "./error.ts";
import { faultOf } from "./faults.ts";
import type { Job, Outcome } from "./job.ts";
import { type Backlog, outlet } from "./outlet.ts";

/** Interval of comments that keep the connection alive, in milliseconds. */
const PING_MS = 15_000;

/** Options of a stream. */
export interface StreamOptions {
  /** Name of the model. */
  readonly model: string;
  /** Whether the stream ends with a usage chunk. */
  readonly includeUsage: boolean;
  /** Unread bytes of all answers. */
  readonly untaken: Backlog;
  /** Called once, when the answer has ended. */
  ended(how: Outcome | ApiError, error?: unknown): void;
}

/** The body of a streamed answer. If its reader leaves, the job is cancelled. */
export function eventStream(
  job: Job,
  { model, includeUsage, untaken, ended }: StreamOptions,
): ReadableStream<Uint8Array> {
  const about = head(model);
  let ping: ReturnType<typeof setInterval>;
  return outlet((out) => {
    const send = (event: object | string) =>
      out.write(
        `data: ${
          typeof event === "string" ? event : JSON.stringify(event)
        }\n\n`,
      );
    // Where usage comes, OpenAI's other chunks say that theirs does.
    const piece = (
      delta: object,
      finish: string | null = null,
      likely: object | null = null,
    ) => ({
      ...chunk(about, delta, finish, likely),
      ...(includeUsage ? { usage: null } : {}),
    });
    ping = setInterval(() => out.write(": ping\n\n"), PING_MS);
    const run = async () => {
      send(piece({ role: "assistant", content: "" }));
      const begun = leadingSpaceTrimmer();
      for await (const text of job.pieces) {
        const content = begun(text);
        if (content !== "") send(piece({ content }));
      }
      const outcome = await job.outcome;
      const { result, finish } = outcome;
      const last = piece({}, finish, logprobs(result));
      send({ ...last, timings: timings(result) });
      if (includeUsage) send(usageChunk(about, result));
      send("[DONE]");
      return outcome;
    };
    run().then((outcome) => ended(outcome), async (error) => {
      // Why it was cancelled is known to the outcome alone.
      const why = await job.outcome.then(() => error, (e) => e);
      const fault = faultOf(why);
      send(fault.body);
      ended(fault, why);
    }).finally(() => {
      clearInterval(ping);
      out.end();
    });
  }, () => {
    clearInterval(ping);
    job.cancel();
  }, untaken);
}

/** Removes white space before the first word, as `completion` does. */
function leadingSpaceTrimmer(): (text: string) => string {
  let begun = false;
  return (text) => {
    if (begun) return text;
    const trimmed = text.trimStart();
    begun = trimmed !== "";
    return trimmed;
  };
}
