/**
 * A server of its own: listens, loads, drains.
 * @module
 */
import { isLoopback } from "./guard.ts";
import { handler } from "./handler.ts";
import type { Answering } from "./job.ts";
import { ending } from "./lifecycle.ts";
import type { HandlerOptions } from "./options.ts";

/** Where and how to listen. */
export interface ListenOptions extends Omit<HandlerOptions, "lifecycle"> {
  /** Address; default 127.0.0.1. Any other than this machine's own needs `apiKey`. */
  readonly hostname?: string;
  /** Port; default 8080; 0 takes a free one. */
  readonly port?: number;
}

/** A server that listens. */
export interface Listening {
  /** Where it is reached. */
  readonly url: string;
  /**
   * Takes no more requests, finishes those it has, ends them after `ms`
   * (default 30 s).
   * @returns whether all could be finished
   */
  shutdown(ms?: number): Promise<boolean>;
}

/** Serves a session, or one that is being loaded. The caller disposes the session. */
export function listen(
  session: Answering | PromiseLike<Answering>,
  options: ListenOptions = {},
): Listening {
  const { hostname = "127.0.0.1", port = 8080 } = options;
  if (!isLoopback(hostname) && options.apiKey === undefined) {
    throw new RangeError(
      `Cannot listen on ${
        JSON.stringify(hostname)
      }: others could use the model without a key; give an API key, or listen on 127.0.0.1`,
    );
  }
  const end = ending();
  const anyAddress = hostname === "0.0.0.0" || hostname === "::";
  const hosts = [
    ...options.hosts ?? [],
    ...anyAddress ? [] : [inUrl(hostname)],
  ];
  const handle = handler(session, { ...options, hosts, lifecycle: end });
  const server = Deno.serve(
    {
      hostname,
      port,
      onListen() {},
      // The handler answers everything; here come bodies that were broken off.
      onError: () => new Response(null, { status: 500 }),
    },
    (request) => handle(request),
  );
  const { addr } = server;
  return {
    url: `http://${inUrl(addr.hostname)}:${addr.port}/`,
    async shutdown(ms = 30_000) {
      end.drain(ms);
      await server.shutdown();
      end.settled();
      return !end.cut.aborted;
    },
  };
}

/** An address as URLs and Host headers write it. */
function inUrl(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}
