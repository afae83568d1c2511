/**
 * A server with its own listener.
 * @module
 */
import { isLoopback } from "./guard.ts";
import { backendHandler } from "./handler.ts";
import {
  type ConnectionCounts,
  connectionCounts,
  front,
} from "./http/front.ts";
import type { Answering } from "./job.ts";
import { ending } from "./lifecycle.ts";
import { type HandlerOptions, LIMITS, type Metric } from "./options.ts";
import type { Source } from "./routes.ts";

/** Options of a listener. */
export interface ListenOptions extends Omit<HandlerOptions, "lifecycle"> {
  /**
   * Address; default 127.0.0.1. An address that other machines reach needs
   * `apiKey`.
   */
  readonly hostname?: string;
  /** Port; default 8080; 0 selects a free one. */
  readonly port?: number;
}

/** A listening server. */
export interface Listening {
  /** Its URL. */
  readonly url: string;
  /**
   * Accepts no more requests, finishes the running ones, and ends them after
   * `ms` (default 30 s).
   * @returns whether all were finished
   */
  shutdown(ms?: number): Promise<boolean>;
}

/** Serves a session, or the promise of one. The caller disposes the session. */
export function listen(
  session: Answering | PromiseLike<Answering>,
  options: ListenOptions = {},
): Listening {
  return listenFor(session, options);
}

/** As `listen`, but also accepts a `Backend`: a model in another thread. */
export function listenFor(
  source: Source | PromiseLike<Source>,
  options: ListenOptions = {},
): Listening {
  const { hostname = "127.0.0.1", port = 8080 } = options;
  if (!isLoopback(hostname) && options.apiKey === undefined) {
    throw new RangeError(
      `Cannot listen on ${
        JSON.stringify(hostname)
      }: other machines could use the model without a key; give an API key, or listen on 127.0.0.1`,
    );
  }
  const end = ending();
  const anyAddress = hostname === "0.0.0.0" || hostname === "::";
  const hosts = [
    ...options.hosts ?? [],
    ...anyAddress ? [] : [inUrl(hostname)],
  ];
  const limits = { ...LIMITS, ...options.limits };
  const counts = connectionCounts();
  const handle = backendHandler(source, {
    ...options,
    hosts,
    lifecycle: end,
    metrics: () => [...metricsOf(counts), ...options.metrics?.() ?? []],
  });
  const listener = Deno.listen({ hostname, port });
  const accepting = {
    async accept() {
      const connection = await listener.accept();
      connection.setNoDelay(); // pieces of a stream are small
      return connection;
    },
    close: () => listener.close(),
  };
  const clients = front(accepting, handle, limits, counts);
  let cut: ReturnType<typeof setTimeout> | undefined;
  end.cut.addEventListener(
    "abort",
    () => Deno.unrefTimer(cut = setTimeout(() => clients.cut(), CUT_MS)),
  );
  const { addr } = listener;
  return {
    url: `http://${inUrl(addr.hostname)}:${addr.port}/`,
    async shutdown(ms = 30_000) {
      end.drain(ms);
      await clients.finish();
      clearTimeout(cut);
      end.settled();
      return !end.cut.aborted;
    },
  };
}

/** Time in which clients can read their errors at shutdown, in milliseconds. */
const CUT_MS = 1000;

function metricsOf(counts: Readonly<ConnectionCounts>): Metric[] {
  const metric = (
    name: string,
    type: Metric["type"],
    help: string,
    value: number,
  ) => ({ name: `connections_${name}`, type, help, value });
  return [
    metric("open", "gauge", "Connections open.", counts.open),
    metric("total", "counter", "Connections taken.", counts.accepted),
    metric(
      "evicted_total",
      "counter",
      "Idle connections closed to make room.",
      counts.evicted,
    ),
    metric(
      "refused_total",
      "counter",
      "Connections refused, all being busy.",
      counts.refused,
    ),
    metric(
      "failed_total",
      "counter",
      "Times that the system gave no connection.",
      counts.failed,
    ),
  ];
}

/** An address as it is written in URLs and Host headers (IPv6 in brackets). */
function inUrl(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}
