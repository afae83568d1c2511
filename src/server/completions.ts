/**
 * `POST /v1/chat/completions` from the door to the last byte.
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

/** Told how a request ended. */
export interface Ended {
  /** HTTP status, or what it would have been. */
  readonly status: number;
  /** `error.code`, where it failed. */
  readonly code?: string;
  /** Tokens of the answer. */
  readonly tokens?: number;
}

/** A response, and a promise of how it ended where it is a stream. */
export interface Reply {
  /** What is sent. */
  readonly response: Response;
  /** How it ended, where its body is still to come. */
  readonly later?: Promise<Ended>;
}

/** Longest time a stream's head is held back for a status that says what is wrong. */
const HEAD_MS = 1000;

/** A moment that can be called off. */
function after(ms: number): { end: Promise<void>; clear(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return { end: promise, clear: () => clearTimeout(timer) };
}

/** All places are taken. */
function full(why: string): ApiError {
  return new ApiError(
    "queue_full",
    `Cannot answer: ${why}; ask again later`,
    null,
    { "retry-after": "2", connection: "close" },
  );
}

/** What answering needs. */
export interface Completing {
  /** Who answers; throws where it is not there yet. */
  readonly backend: () => Backend;
  /** Who is inside. */
  readonly admission: Admission;
  /** What is counted. */
  readonly counted: Metrics;
  /** Limits of the server. */
  readonly limits: Limits;
  /** Name of the model. */
  readonly model: string;
  /** When to take no more requests, and when to end those that run. */
  readonly lifecycle?: Lifecycle;
  /** Told of errors that are answered with 500. */
  readonly onError?: (error: unknown) => void;
}

// long because its parts share the admission and the lifecycle of one server
/** Answers requests for chat completions; throws `ApiError` and the errors of other rooms. */
export function completing(
  { backend, admission, counted, limits, model, lifecycle, onError }:
    Completing,
): (request: Request) => Promise<Reply> {
  const untaken = backlog(limits.untakenBytes);

  /** Makes room; when no more requests are taken, the last to leave says so. */
  function leave(ticket: Ticket) {
    ticket.leave();
    if (lifecycle?.draining.aborted && admission.empty()) lifecycle.settled();
  }

  /** A server that ends breaks off bodies that are on their way (Deno 2.9). */
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

  /** Reads the body and hands it on: nothing of it is kept here. */
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

  /** Answers a request that was let in; it leaves when its body ends. */
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
