/**
 * A server that is started again when it crashes, and ended and started again
 * when it no longer answers.
 * @module
 */
import { EXIT } from "./errors.ts";

/** Times of a supervisor, in milliseconds. */
export const SUPERVISE = {
  /** Wait before the first new start; doubled by each further one. */
  backOffMs: 500,
  /** Longest wait. */
  mostBackOffMs: 30_000,
  /** A server that was well so long begins with the first wait again. */
  wellMs: 60_000,
  /** It is asked so often, until it first answers and then. */
  firstMs: 200,
  askMs: 2000,
  /** Time it has to answer. */
  answerMs: 5000,
  /** Questions in a row without an answer, after which it is ended. */
  mostSilent: 3,
  /** Time it has for its first answer. */
  startMs: 120_000,
} as const;

/** A server at work. */
export interface Supervised {
  /** Its end. */
  readonly status: Promise<
    { readonly code: number; readonly signal: string | null }
  >;
  kill(signal: "SIGTERM" | "SIGINT" | "SIGKILL"): void;
}

/** What a supervisor needs. */
export interface Supervising {
  /** Starts a server. */
  start(): Supervised;
  /** Whether the server answers; what it answers does not matter. */
  answers(ms: number): Promise<boolean>;
  /** Told of starts and ends. */
  say(text: string): void;
  /** Aborted when the server is to end for good. */
  readonly stop: AbortSignal;
  /** Times other than `SUPERVISE`, for tests. */
  readonly times?: Partial<Record<keyof typeof SUPERVISE, number>>;
}

/** Codes with which a server ends because it was told to or cannot begin: they are passed on. */
const FINAL: readonly number[] = [EXIT.ok, EXIT.usage, EXIT.interrupted];

/** Keeps a server running; returns the exit code of its last end. */
export async function supervise(
  { start, answers, say, stop, times }: Supervising,
): Promise<number> {
  const t = { ...SUPERVISE, ...times };
  let wait = t.backOffMs;
  while (true) {
    const server = start(), begun = performance.now();
    const end = () => server.kill("SIGTERM");
    stop.addEventListener("abort", end);
    const running = new AbortController();
    let well = false, silent = 0;
    const ended = server.status.finally(() => running.abort());
    const watch = (async () => {
      while (!running.signal.aborted) {
        await pause(
          well ? t.askMs : Math.min(t.askMs, t.firstMs),
          running.signal,
        );
        if (running.signal.aborted || stop.aborted) return;
        if (await answers(t.answerMs)) {
          well = true;
          silent = 0;
        } else if (++silent >= t.mostSilent && !running.signal.aborted) {
          if (!well && performance.now() - begun < t.startMs) continue;
          say("the server does not answer: it is ended");
          server.kill("SIGKILL");
          return;
        }
      }
    })();
    const { code, signal } = await ended;
    await watch;
    stop.removeEventListener("abort", end);
    if (stop.aborted) return code;
    // What fails before it was ever well fails the next time, too.
    if (signal === null && (FINAL.includes(code) || !well)) return code;
    if (performance.now() - begun > t.wellMs) wait = t.backOffMs;
    say(
      `the server ended (${
        signal ?? `exit code ${code}`
      }); it is started again in ${wait / 1000} s`,
    );
    await pause(wait, stop);
    if (stop.aborted) return code;
    wait = Math.min(2 * wait, t.mostBackOffMs);
  }
}

function pause(ms: number, stop?: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      stop?.removeEventListener("abort", end);
      done();
    }
    stop?.addEventListener("abort", end);
  });
}
