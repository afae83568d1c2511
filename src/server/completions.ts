/**
 * `POST /v1/chat/completions`, from admission to the last byte of the answer.
 * @module
 */
import type { Admission, Ticket } from "./admission.ts";
import type { Backend, Begun } from "./backend.ts";
import { readBody } from "./body.ts";
import { ApiError } from "./error.ts";
import { causeOf } from "./faults.ts";
import { type Outcome, shuttingDown } from "./job.ts";
import { laterJson } from "./later.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Metrics } from "./metrics.ts";
import type { Limits } from "./options.ts";
import { backlog } from "./outlet.ts";
import { eventStream } from "./sse.ts";

/** How a request ended. */
export interface Ended {
  /** HTTP status; for a stream that failed, the status that it would have had. */
  readonly status: number;
  /** `error.code`, if it failed. */
  readonly code?: string;
  /** Tokens of the answer. */
  readonly tokens?: number;
}

/** A response; for a stream also a promise of how it ends. */
export interface Reply {
  /** The response. */
  readonly response: Response;
  /** How the request ends, if its body is still being written. */
  readonly later?: Promise<Ended>;
}

/**
 * Longest time that the head of a stream is held back so that an error can
 * still be a status code, in milliseconds.
 */
const HEAD_MS = 1000;

/** A timer that can be cancelled. */
function after(ms: number): { end: Promise<void>; clear(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return { end: promise, clear: () => clearTimeout(timer) };
}

/** The error for a full queue. */
function full(why: string): ApiError {
  return new ApiError(
    "queue_full",
    `Cannot answer: ${why}; ask again later`,
    null,
    { "retry-after": "2", connection: "close" },
  );
}

/** Dependencies of the route. */
export interface Completing {
  /** Returns the backend; throws while the model is loading. */
  readonly backend: () => Backend;
  /** Admission control. */
  readonly admission: Admission;
  /** Metrics. */
  readonly counted: Metrics;
  /** Limits of the server. */
  readonly limits: Limits;
  /** Name of the model. */
  readonly model: string;
  /** Shutdown signals. */
  readonly lifecycle?: Lifecycle;
  /** Called with errors that are answered with 500. */
  readonly onError?: (error: unknown) => void;
}

// long because its parts share the admission and the lifecycle of one server
/**
 * Returns a function that answers chat completion requests.
 * @throws {ApiError} and errors of the session
 */
export function completing(
  { backend, admission, counted, limits, model, lifecycle, onError }:
    Completing,
): (request: Request) => Promise<Reply> {
  const untaken = backlog(limits.untakenBytes);

  /** Frees the slot; during shutdown the last request to leave reports it. */
  function leave(ticket: Ticket) {
    ticket.leave();
    if (lifecycle?.draining.aborted && admission.empty()) lifecycle.settled();
  }

  /**
   * During shutdown Deno 2.9 aborts bodies that are still arriving: reports
   * that as a shutdown.
   */
  function endingSaidSo(error: unknown): never {
    const broken = error instanceof ApiError && error.code === "cancelled";
    throw broken && lifecycle?.draining.aborted ? shuttingDown() : error;
  }

  async function completions(request: Request): Promise<Reply> {
    if (lifecycle?.draining.aborted) throw shuttingDown();
    const answering = backend();
    const ticket = admission.enter();
    if (!ticket) throw full(`${limits.queue} requests are waiting already`);
    let stays = false;
    try {
      const begun = await begin(request, answering, ticket)
        .catch(endingSaidSo);
      const reply = await complete(begun, ticket);
      stays = reply.later !== undefined;
      return reply;
    } finally {
      if (!stays) leave(ticket);
    }
  }

  /** Reads the body and passes it to the backend without keeping a copy. */
  async function begin(
    request: Request,
    answering: Backend,
    ticket: Ticket,
  ): Promise<Begun> {
    const hold = (bytes: number) => {
      if (ticket.hold(bytes)) return;
      throw full(`waiting requests hold ${limits.heldBytes} bytes already`);
    };
    const body = await readBody(request, limits, hold, ticket.evicted);
    ticket.stage = "waiting";
    const ends = { gone: request.signal, cut: lifecycle?.cut };
    return answering.begin(body, ends, () => {
      ticket.stage = "running";
    });
  }

  /** Answers an admitted request; its slot is freed when its body ends. */
  async function complete(job: Begun, ticket: Ticket): Promise<Reply> {
    const asked = await job.asked;
    // Whatever is wrong is known before the head of the answer is sent, so it
    // can be told by its status. A stream waits for that a moment only: it can
    // tell later as well, and clients see that somebody is there.
    const held = asked.stream ? after(HEAD_MS) : undefined;
    try {
      await Promise.race([job.checked, job.outcome, ...held ? [held.end] : []]);
    } finally {
      held?.clear();
    }
    const later = Promise.withResolvers<Ended>();
    const ended = (how: Outcome | ApiError, error?: unknown) => {
      leave(ticket);
      if (how instanceof ApiError) {
        const cause = causeOf(error);
        if (how.status === 500 && cause !== undefined) onError?.(cause);
        return later.resolve({ status: how.status, code: how.code });
      }
      counted.answer(how.result, asked.images);
      later.resolve({ status: 200, tokens: how.result.tokens.length });
    };
    const { includeUsage } = asked;
    const content = asked.stream
      ? eventStream(job, { model, includeUsage, untaken, ended })
      : laterJson(job, { model, untaken, ended });
    const headers: HeadersInit = asked.stream
      ? {
        "content-type": "text/event-stream; charset=utf-8",
        "x-accel-buffering": "no", // a proxy must not hold pieces back
      }
      : { "content-type": "application/json" };
    return {
      response: new Response(content, { headers }),
      later: later.promise,
    };
  }

  return completions;
}
