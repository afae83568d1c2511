/**
 * Supervisor: restarts a server that crashes or no longer answers.
 * @module
 */
import { EXIT } from "./errors.ts";

/** Times of a supervisor, in milliseconds. */
export const SUPERVISE = {
  /** Delay before the first restart; doubled for each further one. */
  backOffMs: 500,
  /** Longest delay. */
  mostBackOffMs: 30_000,
  /** Uptime after which the delay is reset. */
  wellMs: 60_000,
  /** Interval of health checks before the first answer. */
  firstMs: 200,
  askMs: 2000,
  /** Timeout of a health check. */
  answerMs: 5000,
  /** Failed health checks in a row after which the server is killed. */
  mostSilent: 3,
  /** Time limit until the first answer. */
  startMs: 120_000,
} as const;

/** A running server process. */
export interface Supervised {
  /** Resolves when it ends. */
  readonly status: Promise<
    { readonly code: number; readonly signal: string | null }
  >;
  kill(signal: "SIGTERM" | "SIGINT" | "SIGKILL"): void;
}

/** Dependencies of a supervisor. */
export interface Supervising {
  /** Starts a server. */
  start(): Supervised;
  /** Whether the server answers, with any status. */
  answers(ms: number): Promise<boolean>;
  /** Called with messages about starts and ends. */
  say(text: string): void;
  /** Aborted when the server shall end. */
  readonly stop: AbortSignal;
  /** Times other than `SUPERVISE`, for tests. */
  readonly times?: Partial<Record<keyof typeof SUPERVISE, number>>;
}

/** Exit codes that are final: the server ended on request or could not start. */
const FINAL: readonly number[] = [EXIT.ok, EXIT.usage, EXIT.interrupted];

/** Keeps a server running; returns its last exit code. */
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
