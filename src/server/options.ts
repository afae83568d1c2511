/**
 * Options and limits of a server.
 * @module
 */
import type { Lifecycle } from "./lifecycle.ts";

/**
 * Limits of a server; docs/server.md lists the defaults and the errors beyond
 * them.
 */
export interface Limits {
  /** Maximum number of requests that wait behind the running one. */
  readonly queue: number;
  /** Longest wait for a turn, in milliseconds. */
  readonly queueMs: number;
  /**
   * Longest duration of an answer, in milliseconds; then it ends with finish
   * "length".
   */
  readonly answerMs: number;
  /** Longest time for a request's body to arrive, in milliseconds. */
  readonly bodyMs: number;
  /**
   * Time after which a body that is still arriving gives up its slot if another
   * request needs it, in milliseconds.
   */
  readonly slowBodyMs: number;
  /** Maximum bytes of a request's body. */
  readonly bodyBytes: number;
  /**
   * Maximum bytes of the bodies of all requests together, from reading to the
   * end of the answer.
   */
  readonly heldBytes: number;
  /** Maximum nesting depth of a request's JSON. */
  readonly jsonDepth: number;
  /**
   * Maximum number of values in a request's JSON (objects, arrays, strings,
   * numbers, literals).
   */
  readonly jsonValues: number;
  /** Maximum images per request. */
  readonly images: number;
  /** Maximum messages per request. */
  readonly messages: number;
  /** Maximum characters of all texts of a request. */
  readonly textLength: number;
  /** Largest `max_tokens`. */
  readonly maxTokens: number;
  /**
   * Maximum unread bytes of all answers; beyond it the slowest client is
   * disconnected.
   */
  readonly untakenBytes: number;
  /** Maximum open connections; the longest idle one is closed for a new one. */
  readonly connections: number;
  /** Longest time for the first head of a connection, in milliseconds. */
  readonly headMs: number;
  /** Longest time from a response to the end of the next head, in milliseconds. */
  readonly idleMs: number;
  /** Longest time without the client reading its answer, in milliseconds. */
  readonly writeMs: number;
}

/** Default limits. */
export const LIMITS: Limits = {
  queue: 16,
  queueMs: 60_000,
  answerMs: 600_000,
  bodyMs: 30_000,
  slowBodyMs: 5000,
  bodyBytes: 20_000_000,
  heldBytes: 128_000_000,
  jsonDepth: 32,
  jsonValues: 100_000,
  images: 4,
  messages: 256,
  textLength: 100_000,
  maxTokens: 1024,
  untakenBytes: 64_000_000,
  connections: 256,
  headMs: 10_000,
  idleMs: 60_000,
  writeMs: 30_000,
};

/** One line of the log; it contains no text of a request or an answer. */
export interface LogEntry {
  /** Method, if it is a known one. */
  readonly method: string;
  /** Route, or "other". */
  readonly route: string;
  /** HTTP status. */
  readonly status: number;
  /** `error.code`, if it failed. */
  readonly code?: string;
  /** Milliseconds from the head of the request to the end of the answer. */
  readonly ms: number;
  /** Tokens of the answer. */
  readonly tokens?: number;
}

/** A metric. */
export interface Metric {
  /** Its name, after the prefix `mquant_`. */
  readonly name: string;
  /** Whether it only grows. */
  readonly type: "counter" | "gauge";
  /** Its description. */
  readonly help: string;
  /** Its current value. */
  readonly value: number;
}

/** Options of a server. */
export interface HandlerOptions {
  /** Name of the model in requests and answers; default "mquant". */
  readonly model?: string;
  /** Key that clients must send as `Authorization: Bearer KEY`. */
  readonly apiKey?: string;
  /**
   * Allowed values of the Host header in addition to localhost, 127.0.0.1 and
   * [::1]; "*" allows all.
   */
  readonly hosts?: readonly string[];
  /**
   * Origins of other web pages that may use the server, such as
   * "http://localhost:3000". Default: none, no CORS.
   */
  readonly origins?: readonly string[];
  /** Limits that differ from the defaults. */
  readonly limits?: Partial<Limits>;
  /** Whether GET / returns the web page; default true. */
  readonly page?: boolean;
  /** Shutdown signals. */
  readonly lifecycle?: Lifecycle;
  /** Additional metrics. */
  readonly metrics?: () => readonly Metric[];
  /** Called for each request when it ends. */
  readonly log?: (entry: LogEntry) => void;
  /** Called with errors that are answered with 500; clients do not see them. */
  readonly onError?: (error: unknown) => void;
}
