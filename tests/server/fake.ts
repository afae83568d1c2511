/**
 * A fake session whose answers advance under the test's control, and shared helpers of
 * the server's tests.
 * @module
 */
import { answer, type Result } from "../../src/session/answer.ts";
import type { Message } from "../../src/session/ask.ts";
import { open, type Session } from "../../src/mod.ts";
import type { Answering } from "../../src/server/mod.ts";
import { toy } from "../agreement/toy_file.ts";

/** The toy model as a session of one thread. */
export function toySession(): Promise<Session> {
  return open(toy().bytes, { threads: 1 });
}

/** A fake session. */
export interface Fake extends Answering {
  /** Last texts of the requests, in the order in which they were begun. */
  readonly begun: string[];
  /** How many answers run now. */
  running(): number;
  /** Lets all steps pass that wait, and all that come. */
  open(): void;
}

/** Answers "a b c …" of `pieces` words, one at a time; held until `open()` where `held`. */
export function fake({ pieces = 3, held = false } = {}): Fake {
  const begun: string[] = [];
  const gate = Promise.withResolvers<void>();
  if (!held) gate.resolve();
  let queue: Promise<unknown> = Promise.resolve(), running = 0;
  const info = { context: 64, threads: 1, build: "simd", memory: { total: 0 } };

  function chat(
    messages: Message[],
    options: Parameters<Answering["chat"]>[1] = {},
  ) {
    return answer((show) => {
      const signal = options.signal ?? new AbortController().signal;
      const gone = new Promise<void>((done) =>
        signal.addEventListener("abort", () => done())
      );
      let started = false;
      const run = async (): Promise<Result> => {
        const result: Result = { ...EMPTY, tokens: [] };
        if (signal.aborted) return { ...result, finish: "aborted" };
        started = true;
        begun.push(textOf(messages.at(-1)!));
        running++;
        options.onProgress?.({ stage: "prefill", done: 0, total: 1 });
        let text = "";
        for (let i = 0; i < pieces && !signal.aborted; i++) {
          const piece = ` ${String.fromCharCode(97 + i % 26)}`;
          show(piece);
          text += piece;
          result.tokens.push(i);
          await Promise.race([gate.promise, gone]);
        }
        running--;
        const finish = signal.aborted ? "aborted" : "stop";
        return { ...result, text, finish };
      };
      const turn = queue.then(run);
      queue = turn;
      const left = gone.then((): Result | Promise<Result> =>
        started ? turn : { ...EMPTY, finish: "aborted" }
      );
      return Promise.race([turn, left]);
    });
  }
  return {
    // Only what the handler reads is there.
    info: info as unknown as Answering["info"],
    chat,
    begun,
    running: () => running,
    open: () => gate.resolve(),
  };
}

const EMPTY: Result = {
  text: "",
  tokens: [],
  finish: "stop",
  promptTokens: 1,
  cachedTokens: 0,
  timings: { queueMs: 0, imageMs: 0, visionMs: 0, prefillMs: 0, decodeMs: 0 },
};

function textOf({ content }: Message): string {
  if (typeof content === "string") return content;
  return content.map((p) => p.type === "text" ? p.text : "[image]").join("");
}

/** A chat request as a handler takes it. */
export function ask(
  body: unknown,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
): Request {
  return new Request("http://localhost/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
}

/** A request of one user's text. */
export function say(text: string, more: object = {}): object {
  return { messages: [{ role: "user", content: text }], ...more };
}

/** Waits until `good`, at most 5 s. */
export async function until(good: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 5000;
  while (!good()) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise((done) => setTimeout(done, 2));
  }
}

/** A sample photo as a data: URI. */
export async function photoUri(): Promise<string> {
  const url = new URL(
    "../../models/photo-mini/photos/cat.jpg",
    import.meta.url,
  );
  return `data:image/jpeg;base64,${(await Deno.readFile(url)).toBase64()}`;
}
