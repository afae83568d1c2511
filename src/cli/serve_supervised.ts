/**
 * `serve --supervise`: runs the same command in a second process and watches
 * it.
 * @module
 */
import { UsageError } from "./errors.ts";
import type { ServeLog } from "./serve_log.ts";
import { supervise, type Supervised } from "./supervise.ts";

/** Address and files of the supervised server. */
export interface SupervisedServe {
  readonly host: string;
  readonly port: number;
  /** The ready file. */
  readonly readyFile?: string | undefined;
  readonly log: ServeLog;
}

/**
 * Runs this command line without `--supervise` and restarts it; returns the
 * exit code.
 */
export async function serveSupervised(
  { host, port, readyFile, log }: SupervisedServe,
): Promise<number> {
  if (port === 0) {
    throw new UsageError(
      "Cannot supervise a server on port 0: health checks need a fixed port; give --port N",
    );
  }
  const stop = new AbortController();
  let byTerminal = false; // which told the server itself
  const heard = (signal: "SIGINT" | "SIGTERM") => () => {
    byTerminal = signal === "SIGINT" && Deno.stdin.isTerminal();
    stop.abort();
  };
  Deno.addSignalListener("SIGINT", heard("SIGINT"));
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGTERM", heard("SIGTERM"));
  }
  const args = commandLine(host, port, readyFile);
  const start = (): Supervised => {
    const child = new Deno.Command(Deno.execPath(), {
      args,
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
    return {
      status: child.status,
      kill(signal) {
        if (signal !== "SIGKILL" && byTerminal) return;
        try {
          child.kill(signal);
        } catch { /* it has ended */ }
      },
    };
  };
  const url = `http://${
    host.includes(":") ? `[${host}]` : host
  }:${port}/health`;
  return await supervise({
    start,
    async answers(ms) {
      try {
        const answer = await fetch(url, { signal: AbortSignal.timeout(ms) });
        await answer.body?.cancel();
        return true;
      } catch {
        return false;
      }
    },
    say: (text) => log.line(text),
    stop: stop.signal,
  });
}

/** Arguments of the server's process, with the permissions of this one. */
function commandLine(
  host: string,
  port: number,
  readyFile: string | undefined,
): string[] {
  const own = Deno.args.filter((arg) => arg !== "--supervise");
  if (Deno.build.standalone) return own;
  const net = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return [
    ...["run", "--quiet", "--no-prompt", "--allow-read", `--allow-net=${net}`],
    ...(readyFile === undefined ? [] : [`--allow-write=${readyFile}`]),
    Deno.mainModule,
    ...own,
  ];
}
