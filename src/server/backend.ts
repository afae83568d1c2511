/**
 * Who reads requests and answers them: a session here, or one in a thread of
 * its own (remote.ts), so that nothing that it does holds up the sockets.
 * @module
 */
import { parseJson } from "./body.ts";
import { type Answering, begin, type Ends, type Job } from "./job.ts";
import type { Limits } from "./options.ts";
import { parseRequest } from "./request.ts";

/** What is known of a request once it is read. */
export interface Asked {
  /** Whether pieces are sent as they come. */
  readonly stream: boolean;
  /** Whether a stream ends with a chunk of usage. */
  readonly includeUsage: boolean;
  /** Images in it. */
  readonly images: number;
}

/** An answer that was begun. */
export interface Begun extends Job {
  /** Resolves when the request was read and understood; rejects with what is wrong with it. */
  readonly asked: Promise<Asked>;
}

/** Reads requests and answers them. */
export interface Backend {
  /** What it runs on. */
  readonly info: Answering["info"];
  /** Begins the answer to the bytes of a request; `turn` is called when its turn comes. */
  begin(body: Uint8Array<ArrayBuffer>, ends: Ends, turn: () => void): Begun;
}

/** Rules of a backend. */
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

/** An answer that does not begin. */
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
