/**
 * One connection: reads requests and writes responses, one at a time. It is
 * closed when the client neither sends nor reads for too long, and the handler
 * learns at once when the client disconnects.
 * @module
 */
import { soon } from "../../platform/platform.ts";
import { type Head, HEAD_LIMITS, HeadError, readHead } from "./head.ts";
import { Gone, Source } from "./source.ts";

/** Answers a request. */
export type Handle = (request: Request) => Promise<Response>;

/** The underlying byte streams. */
export interface Wire {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
}

/** Times of a connection, in milliseconds. */
export interface HttpTimes {
  /** Time from the connection to the end of the first head. */
  readonly headMs: number;
  /** Time from a response to the end of the next head. */
  readonly idleMs: number;
  /** Longest time without the client reading. */
  readonly writeMs: number;
}

/**
 * Bytes and milliseconds that are still read after an error, so that the client
 * receives it.
 */
const LINGER_BYTES = 2 ** 25, LINGER_MS = 2000;

/** A running connection. */
export class Connection {
  /**
   * Time since which it waits for a head (`performance.now()`); undefined while
   * a request is answered.
   */
  idleSince: number | undefined = performance.now();
  readonly #wire: Wire;
  readonly #source: Source;
  readonly #times: HttpTimes;
  #last = false;
  #unread = false; // a body that nobody wanted
  #closed = false;

  constructor(wire: Wire, times: HttpTimes) {
    this.#wire = wire;
    this.#source = new Source(wire);
    this.#times = times;
  }

  /** Closes the connection immediately. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#wire.close();
    } catch { /* it was closed */ }
  }

  /** Closes after the current request. */
  finish(): void {
    this.#last = true;
    if (this.idleSince !== undefined) this.close();
  }

  /** Serves requests until the connection ends; never throws. */
  async serve(handle: Handle): Promise<void> {
    try {
      for (let ms = this.#times.headMs;; ms = this.#times.idleMs) {
        const text = await this.#within(ms, () => this.#source.head());
        this.idleSince = undefined;
        if (!await this.#answer(readHead(text), handle) || this.#last) break;
        this.idleSince = performance.now();
      }
      if (this.#unread) await this.#linger();
    } catch (error) {
      if (error instanceof HeadError) await this.refuse(error);
    } finally {
      this.close();
    }
  }

  /** Sends the error and closes. */
  async refuse({ status, message }: HeadError): Promise<void> {
    this.idleSince = undefined;
    const body = JSON.stringify({
      error: {
        message: `Cannot read the request: ${message}`,
        type: status >= 500 ? "server_error" : "invalid_request_error",
        param: null,
        code: status === 503 ? "too_many_connections" : "malformed_request",
      },
    });
    const head = headText(status, [
      ["content-type", "application/json"],
      ["content-length", `${body.length}`],
      ["connection", "close"],
      ...status === 503 ? [["retry-after", "5"] as [string, string]] : [],
    ]);
    await this.#write(head + body).then(() => this.#linger(), () => {});
    this.close();
  }

  /** Answers one request; returns whether another may follow. */
  async #answer(head: Head, handle: Handle): Promise<boolean> {
    const gone = new AbortController();
    let read = false, answered = false; // the whole body; the request
    const watch = async () => {
      read = true;
      // What comes now is the next request, or the end.
      try {
        while (!answered && this.#source.length < HEAD_LIMITS.bytes) {
          await this.#source.more();
        }
      } catch {
        gone.abort();
      }
    };
    let fault: unknown; // of the body
    const body = this.#body(head, watch, (error) => fault = error);
    const request = requestOf(head, body, gone.signal);
    if (!body) watch();
    const response = await handle(request);
    this.#unread = !read;
    if (fault instanceof HeadError) {
      response.body?.cancel().catch(() => {});
      throw fault;
    }
    const reader = response.body?.getReader();
    const left = () => void reader?.cancel().catch(() => {});
    gone.signal.addEventListener("abort", left);
    if (gone.signal.aborted) left();
    const stays = read && head.keepAlive && !this.#last &&
      response.headers.get("connection") !== "close";
    try {
      await this.#send(response, reader, head, stays);
    } catch (error) {
      left();
      throw error;
    } finally {
      answered = true;
      gone.signal.removeEventListener("abort", left);
    }
    return stays && !gone.signal.aborted;
  }

  /** The body of a request as a stream; undefined if there is none. */
  #body(
    head: Head,
    end: () => void,
    failed: (error: unknown) => void,
  ): ReadableStream<Uint8Array<ArrayBuffer>> | undefined {
    const { length, expects, method } = head;
    if (length === 0 || method === "GET" || method === "HEAD") return undefined;
    const pieces = length === undefined
      ? this.#source.chunked()
      : this.#source.counted(length);
    let asked = false;
    return new ReadableStream({
      pull: async (controller) => {
        if (expects && !asked) {
          await this.#write("HTTP/1.1 100 Continue\r\n\r\n");
        }
        asked = true;
        try {
          const { done, value } = await pieces.next();
          if (!done) return controller.enqueue(value);
        } catch (error) {
          failed(error);
          throw error;
        }
        controller.close();
        end();
      },
    }, { highWaterMark: 0 });
  }

  async #send(
    response: Response,
    reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined,
    head: Head,
    stays: boolean,
  ): Promise<void> {
    const { status } = response;
    const fields = [...response.headers].filter(([n]) => n !== "connection");
    if (!stays) fields.push(["connection", "close"]);
    const none = head.method === "HEAD" || status === 204 || status === 304;
    if (!reader || none) {
      if (!none) fields.push(["content-length", "0"]);
      return await this.#write(headText(status, fields));
    }
    // A body that is whole already is sent with its length.
    const first = reader.read();
    const early = await soonest(first);
    const second = early && !early.done ? reader.read() : undefined;
    const after = second && await soonest(second);
    const whole = early?.done ? new Uint8Array() : after?.done && early?.value;
    if (whole) {
      fields.push(["content-length", `${whole.length}`]);
      const bytes = encoder.encode(headText(status, fields));
      return await this.#write(joined(bytes, whole));
    }
    if (head.chunks) fields.push(["transfer-encoding", "chunked"]);
    await this.#write(headText(status, fields));
    const framed = (bytes: Uint8Array<ArrayBuffer>) =>
      head.chunks
        ? joined(
          encoder.encode(`${bytes.length.toString(16)}\r\n`),
          bytes,
          encoder.encode("\r\n"),
        )
        : bytes;
    for (let next = await first, then = second;;) {
      if (next.done) break;
      if (next.value.length > 0) await this.#write(framed(next.value));
      next = await (then ?? reader.read());
      then = undefined;
    }
    if (head.chunks) await this.#write("0\r\n\r\n");
  }

  async #write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    for (let at = 0; at < bytes.length;) {
      at += await this.#within(
        this.#times.writeMs,
        () => this.#wire.write(bytes.subarray(at)),
      );
    }
  }

  /** Waits for `work`; after `ms` the connection is closed, which ends the work. */
  async #within<T>(ms: number, work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new Gone();
    const timer = setTimeout(() => this.close(), ms);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Reads for a while before closing: closing with unread bytes would discard
   * the response (TCP reset).
   */
  async #linger(): Promise<void> {
    try {
      await this.#wire.closeWrite();
      await this.#within(LINGER_MS, async () => {
        for (let read = 0; read < LINGER_BYTES;) {
          read += this.#source.drop();
          await this.#source.more();
        }
      });
    } catch { /* it is gone */ }
  }
}

const encoder = new TextEncoder();

function requestOf(
  { method, target, headers }: Head,
  body: ReadableStream<Uint8Array<ArrayBuffer>> | undefined,
  signal: AbortSignal,
): Request {
  const host = headers.get("host") ?? "";
  // A Host that is none is told by the handler, which looks at the field.
  const url = URL.parse(`http://${host}${target}`) ??
    new URL(`http://localhost${target}`);
  try {
    return new Request(url, {
      method,
      headers,
      signal,
      ...(body ? { body, duplex: "half" } : {}),
    } as RequestInit);
  } catch {
    throw new HeadError(400, "the method is not known");
  }
}

/**
 * The result of a promise that settles within one turn of the event loop;
 * otherwise undefined.
 */
function soonest<T>(promise: Promise<T>): Promise<T | undefined> {
  const turn = new Promise<void>((done) => soon(done)).then(() => undefined);
  return Promise.race([promise, turn]);
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) all.set(part, at), at += part.length;
  return all;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  204: "No Content",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  421: "Misdirected Request",
  499: "Client Closed Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

function headText(
  status: number,
  fields: readonly (readonly [string, string])[],
): string {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${REASONS[status] ?? "Status"}\r\n${
    lines.join("")
  }date: ${new Date().toUTCString()}\r\n\r\n`;
}
