/**
 * A model in its own thread. The main thread only moves bytes, so it answers
 * /health and notices clients that disconnect while the model compiles a
 * schema, tokenizes a long text or decodes a picture of fifty megapixels.
 * @module
 */
import { unpackError } from "../graph/thread_error.ts";
import { answer, type Result } from "../session/answer.ts";
import type { OpenOptions } from "../session/open.ts";
import type { Asked, Backend, BackendRules, Begun } from "./backend.ts";
import { ApiError } from "./error.ts";
import type { Answering, Outcome } from "./job.ts";
import { BEAT_MS, type Fault, type News, type Order } from "./protocol.ts";

/** URL of the thread's module. */
export const MODEL_WORKER = new URL("./model_worker.ts", import.meta.url);

/** The used part of `Worker`; tests replace it. */
export interface Thread {
  postMessage(order: Order, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<News>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  terminate(): void;
}

/** Options of `openRemote`. */
export interface RemoteOptions {
  /** Options of `open`. */
  readonly open: OpenOptions;
  /** Limits and the model's name. */
  readonly rules: BackendRules;
  /** Called once when the thread has had no heartbeat for `stuckMs`. */
  readonly onStuck: (ms: number) => void;
  /** Longest time without a heartbeat, in milliseconds. */
  readonly stuckMs: number;
}

/** A backend in its own thread. */
export interface Remote extends Backend, AsyncDisposable {}

/** Receives the thread's messages about one answer. */
interface Pending {
  asked(asked: Asked): void;
  checked(): void;
  turn(): void;
  piece(text: string): void;
  done(outcome: Outcome): void;
  fault(error: ApiError): void;
}

/**
 * Opens the model at `path` in `thread`.
 * @throws as `open` does
 */
export async function openRemote(
  path: string,
  { open, rules, onStuck, stuckMs }: RemoteOptions,
  thread: Thread = new Worker(MODEL_WORKER, { type: "module", name: "model" }),
): Promise<Remote> {
  const pending = new Map<number, Pending>();
  const opened = Promise.withResolvers<Answering["info"]>();
  const closed = Promise.withResolvers<void>();
  let last = performance.now();
  thread.onmessage = ({ data: news }) => {
    last = performance.now();
    switch (news.type) {
      case "beat":
        return;
      case "open":
        return opened.resolve(news.info);
      case "failed":
        return opened.reject(unpackError(news.error));
      case "closed":
        return closed.resolve();
      default:
        hear(news, pending);
    }
  };
  thread.onerror = (event) => {
    event.preventDefault();
    const error = new Error(`the model's thread ended: ${event.message}`);
    opened.reject(error);
    closed.resolve();
    for (const one of pending.values()) one.fault(broken(error));
    pending.clear();
  };
  const watch = setInterval(() => {
    const ms = performance.now() - last;
    if (ms < stuckMs) return;
    clearInterval(watch);
    onStuck(ms);
  }, BEAT_MS);
  Deno.unrefTimer(watch);

  const { signal, ...options } = open;
  thread.postMessage({ type: "open", path, options, rules }, []);
  const close = async () => {
    thread.postMessage({ type: "close" }, []);
    await closed.promise;
    clearInterval(watch);
    thread.terminate();
  };
  const stop = () => {
    opened.reject(signal!.reason);
    close();
  };
  signal?.addEventListener("abort", stop);
  try {
    const info = await opened.promise, begin = beginner(thread, pending);
    return { info, begin, [Symbol.asyncDispose]: close };
  } catch (error) {
    clearInterval(watch);
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** Passes a message to its answer. */
function hear(
  news: Extract<News, { id: number }>,
  pending: Map<number, Pending>,
) {
  const one = pending.get(news.id);
  if (!one) return;
  if (news.type === "done" || news.type === "fault") pending.delete(news.id);
  switch (news.type) {
    case "asked":
      return one.asked(news.asked);
    case "checked":
    case "turn":
      return one[news.type]();
    case "piece":
      return one.piece(news.text);
    case "done":
      return one.done(news.outcome);
    case "fault":
      return one.fault(apiErrorOf(news.fault));
  }
}

/**
 * Returns a function that starts answers in the thread; `pending` receives the
 * thread's messages.
 */
function beginner(
  thread: Thread,
  pending: Map<number, Pending>,
): Backend["begin"] {
  let next = 0;
  return (body, { gone, cut }, turn): Begun => {
    const id = next++;
    const asked = Promise.withResolvers<Asked>();
    const checked = Promise.withResolvers<void>();
    const outcome = Promise.withResolvers<Outcome>();
    for (const { promise } of [asked, outcome]) promise.catch(() => {});
    const cancel = () => thread.postMessage({ type: "cancel", id }, []);
    const cutOff = () => thread.postMessage({ type: "cut", id }, []);
    const over = () => {
      gone?.removeEventListener("abort", cancel);
      cut?.removeEventListener("abort", cutOff);
    };
    const pieces = answer((show) => {
      pending.set(id, {
        asked: asked.resolve,
        checked: checked.resolve,
        turn,
        piece: show,
        done(how) {
          over();
          outcome.resolve(how);
        },
        fault(error) {
          over();
          asked.reject(error);
          outcome.reject(error);
        },
      });
      thread.postMessage({ type: "begin", id, body }, [body.buffer]);
      if (gone?.aborted) cancel();
      if (cut?.aborted) cutOff();
      gone?.addEventListener("abort", cancel);
      cut?.addEventListener("abort", cutOff);
      return outcome.promise.then(({ result }): Result => result);
    });
    pieces.then(() => {}, () => {}); // begins it
    return {
      asked: asked.promise,
      checked: checked.promise,
      outcome: outcome.promise,
      pieces,
      cancel,
    };
  };
}

function apiErrorOf({ code, message, param, headers, inner }: Fault): ApiError {
  const error = new ApiError(code, message, param, headers);
  if (inner) error.cause = unpackError(inner);
  return error;
}

function broken(cause: Error): ApiError {
  const error = new ApiError(
    "internal_error",
    "Cannot answer: something failed inside the server; its log says what",
  );
  error.cause = cause;
  return error;
}
