/**
 * A backend reads requests and answers them: a session in this thread, or one
 * in its own thread (remote.ts), so that its work never blocks the sockets.
 * @module
 */
import { parseJson } from "./body.ts";
import { type Answering, begin, type Ends, type Job } from "./job.ts";
import type { Limits } from "./options.ts";
import { parseRequest } from "./request.ts";

/** The properties of a request that the sockets' thread needs. */
export interface Asked {
  /** Whether the answer is streamed. */
  readonly stream: boolean;
  /** Whether a stream ends with a chunk of usage. */
  readonly includeUsage: boolean;
  /** Number of images. */
  readonly images: number;
}

/** A running answer. */
export interface Begun extends Job {
  /** Resolves when the request is parsed and valid; rejects with its error. */
  readonly asked: Promise<Asked>;
}

/** Reads requests and answers them. */
export interface Backend {
  /** The model and how it runs. */
  readonly info: Answering["info"];
  /** Starts answering the request in `body`; calls `turn` when its turn comes. */
  begin(body: Uint8Array<ArrayBuffer>, ends: Ends, turn: () => void): Begun;
}

/** Settings of a backend. */
export interface BackendRules {
  /** Name of the model. */
  readonly model: string;
  /** Limits of the server. */
  readonly limits: Limits;
}

/** A session as a backend. */
export function localBackend(
  session: Answering,
  { model, limits }: BackendRules,
): Backend {
  return {
    info: session.info,
    begin(body, ends, turn) {
      try {
        const { messages, options, ...asked } = parseRequest(
          parseJson(body, limits),
          { model, limits },
        );
        const request = { messages, options, ...asked };
        const job = begin(session, request, limits, ends, turn);
        return { ...job, asked: Promise.resolve(asked) };
      } catch (error) {
        return refused(error);
      }
    },
  };
}

/** A request that is refused before it starts. */
function refused(error: unknown): Begun {
  const never = Promise.reject(error);
  never.catch(() => {}); // whoever awaits it gets it
  return {
    asked: never,
    checked: never,
    outcome: never,
    pieces: {
      [Symbol.asyncIterator]: () => ({ next: () => never }),
    },
    cancel() {},
  };
}
