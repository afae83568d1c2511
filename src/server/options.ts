/**
 * What a server may be told, and the limits it keeps.
 * @module
 */
import type { Lifecycle } from "./lifecycle.ts";

/** Limits of a server; docs/server.md lists them with their answers. */
export interface Limits {
  /** Requests that may wait behind the one that is answered. */
  readonly queue: number;
  /** Longest wait for a turn, in milliseconds. */
  readonly queueMs: number;
  /** Longest answer in time, in milliseconds; it ends there with finish "length". */
  readonly answerMs: number;
  /** Longest time a request's body may take to arrive, in milliseconds. */
  readonly bodyMs: number;
  /** Time after which a body that is still on its way gives its place to another request, where all are taken, in milliseconds. */
  readonly slowBodyMs: number;
  /** Bytes of a request's body. */
  readonly bodyBytes: number;
  /** Bytes of the bodies of all requests that are read, wait or are answered. */
  readonly heldBytes: number;
  /** Nesting of a request's JSON. */
  readonly jsonDepth: number;
  /** Values in a request's JSON: objects, lists, texts, numbers and words. */
  readonly jsonValues: number;
  /** Images of one request. */
  readonly images: number;
  /** Messages of one request. */
  readonly messages: number;
  /** Characters of all texts of one request. */
  readonly textLength: number;
  /** Largest `max_tokens`. */
  readonly maxTokens: number;
  /** Bytes of all answers that their clients have not taken; beyond, the slowest client is let go. */
  readonly untakenBytes: number;
  /** Connections at a time; the longest idle one makes room for another. */
  readonly connections: number;
  /** Longest time for the first head of a connection, in milliseconds. */
  readonly headMs: number;
  /** Longest time from an answer to the end of the next head, in milliseconds. */
  readonly idleMs: number;
  /** Longest time in which a client takes nothing of its answer, in milliseconds. */
  readonly writeMs: number;
}

/** Limits where nothing else is asked for. */
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

/** One line of a log: no text of a request or answer is in it. */
export interface LogEntry {
  /** Method, if it is a known one. */
  readonly method: string;
  /** Route, or "other". */
  readonly route: string;
  /** HTTP status. */
  readonly status: number;
  /** `error.code`, where it failed. */
  readonly code?: string;
  /** Milliseconds from its head to the end of its answer. */
  readonly ms: number;
  /** Tokens of the answer. */
  readonly tokens?: number;
}

/** A number at /metrics. */
export interface Metric {
  /** Its name, behind `mquant_`. */
  readonly name: string;
  /** Whether it only grows. */
  readonly type: "counter" | "gauge";
  /** What it counts. */
  readonly help: string;
  /** Its value now. */
  readonly value: number;
}

/** How to serve. */
export interface HandlerOptions {
  /** Name of the model in requests and answers; default "mquant". */
  readonly model?: string;
  /** Key that clients must send as `Authorization: Bearer KEY`. */
  readonly apiKey?: string;
  /** Host names that requests may name beside localhost, 127.0.0.1 and [::1]; "*" allows all. */
  readonly hosts?: readonly string[];
  /** Origins of other web pages that may call, such as "http://localhost:3000". Default none: no CORS. */
  readonly origins?: readonly string[];
  /** Limits other than the default ones. */
  readonly limits?: Partial<Limits>;
  /** Whether GET / is the web page; default true. */
  readonly page?: boolean;
  /** When to take no more requests, and when to end those that run. */
  readonly lifecycle?: Lifecycle;
  /** Further numbers at /metrics. */
  readonly metrics?: () => readonly Metric[];
  /** Told of each request when it ends. */
  readonly log?: (entry: LogEntry) => void;
  /** Told of errors that are answered with 500; clients learn nothing of them. */
  readonly onError?: (error: unknown) => void;
}
