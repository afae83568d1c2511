/**
 * A pool of processes: a task is a line of JSON on a worker's stdin, its result a line
 * on its stdout. A worker that dies or hangs loses only its task, which is reported.
 * @module
 */
import { killAfter } from "./kill_after.ts";
import { lineStream } from "./lines.ts";

/** How to start a worker and how long to wait for it. */
export interface PoolOptions {
  /** Arguments of `deno` up to the script and its own. */
  readonly args: readonly string[];
  /** Processes at the same time. */
  readonly jobs: number;
  /** Longest time of a task, in milliseconds. */
  readonly taskMs: number;
}

/** Runs `tasks`, taking new ones from the list while it grows; `done` gets each result, or why there is none. */
export async function runTasks<T, R>(
  tasks: T[],
  options: PoolOptions,
  done: (task: T, result: R | undefined, failure: string) => void,
): Promise<void> {
  let busy = 0;
  const one = async () => {
    let worker: Worker | undefined;
    for (;;) {
      const task = tasks.shift();
      if (task === undefined) {
        if (busy === 0) break;
        await new Promise((go) => setTimeout(go, 20)); // others may add some
        continue;
      }
      busy++;
      worker ??= start(options.args);
      const answer = await worker.ask(JSON.stringify(task), options.taskMs);
      busy--;
      if (answer.line === undefined) worker = undefined;
      done(
        task,
        answer.line === undefined ? undefined : JSON.parse(answer.line),
        answer.failure,
      );
    }
    await worker?.end();
  };
  await Promise.all(Array.from({ length: options.jobs }, one));
}

interface Worker {
  ask(
    line: string,
    ms: number,
  ): Promise<{ line?: string | undefined; failure: string }>;
  end(): Promise<void>;
}

function start(args: readonly string[]): Worker {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const said = new Response(child.stderr).text();
  const writer = child.stdin.getWriter();
  const lines = child.stdout
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(lineStream())
    .getReader();
  return {
    async ask(line, ms) {
      let late = false;
      const timer = killAfter(child, ms, () => late = true);
      try {
        await writer.write(new TextEncoder().encode(line + "\n"));
        const { value, done } = await lines.read();
        if (!done) return { line: value, failure: "" };
      } catch {
        /* it is gone; said below */
      } finally {
        clearTimeout(timer);
      }
      const { code, signal } = await child.status;
      const last = (await said).trim().slice(-300);
      return {
        failure: late
          ? `hung for ${ms} ms`
          : `died with ${signal ?? code}: ${last}`,
      };
    },
    async end() {
      await writer.close().catch(() => {});
      await lines.cancel().catch(() => {});
      await child.status;
      await said;
    },
  };
}
