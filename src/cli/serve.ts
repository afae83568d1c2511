/**
 * `serve`: the OpenAI-compatible server and its web page, until Ctrl-C.
 * @module
 */
import { open, type Session, type SessionInfo } from "../mod.ts";
import { canShare } from "../platform/platform.ts";
import type { BackendRules } from "../server/backend.ts";
import { isLoopback } from "../server/guard.ts";
import { listenFor, type Listening } from "../server/listen.ts";
import { LIMITS, type LogEntry, type Metric } from "../server/options.ts";
import { MODEL_WORKER, openRemote, type Remote } from "../server/remote.ts";
import { command, type Values } from "./command.ts";
import { EXIT, sentence, UsageError } from "./errors.ts";
import { dim, printable } from "./io.ts";
import {
  MEMORY_OPTION,
  memoryOption,
  MODEL_OPTION,
  modelPath,
} from "./model_path.ts";
import { PICTURE_OPTIONS, pictureOptions } from "./picture_options.ts";
import { readiness } from "./ready.ts";
import { type ServeLog, serveLog } from "./serve_log.ts";
import { serveSupervised } from "./serve_supervised.ts";
import { onUnhandled } from "./stray.ts";

const DRAIN_MS = 30_000;

/** Time for writing the log at the end, in milliseconds. */
const FLUSH_MS = 500;

const options = {
  model: MODEL_OPTION,
  port: {
    type: "integer",
    help: "port; 0 selects a free one",
    min: 0,
    max: 65535,
    default: 8080,
  },
  host: {
    type: "string",
    value: "ADDRESS",
    help:
      "address to listen on; an address that other machines reach needs a key",
    default: "127.0.0.1",
  },
  "api-key": {
    type: "string",
    value: "KEY",
    help:
      "key that clients must send; visible in the process list, --api-key-file is not",
  },
  "api-key-file": {
    type: "string",
    value: "FILE",
    help: "file whose first line is the key",
  },
  "allow-host": {
    type: "string",
    value: "NAME,...",
    help: "further host names that clients may use",
  },
  "allow-origin": {
    type: "string",
    value: "ORIGIN,...",
    help:
      "further origins whose web pages may use the server, such as http://localhost:3000",
  },
  name: {
    type: "string",
    value: "NAME",
    help: "name of the model for clients; default: the name of the file",
  },
  queue: {
    type: "integer",
    help: "maximum number of waiting requests",
    min: 0,
    max: 1024,
    default: LIMITS.queue,
  },
  "max-tokens": {
    type: "integer",
    help: "maximum length of an answer that clients may request, in tokens",
    min: 1,
    max: 65536,
    default: LIMITS.maxTokens,
  },
  "max-memory": MEMORY_OPTION,
  threads: {
    type: "integer",
    help: "number of threads; default: one per CPU, at most 4",
    min: 1,
    max: 64,
  },
  context: {
    type: "integer",
    help:
      "context length in tokens; default: 2048, or the model's maximum if lower",
    min: 8,
    max: 1_048_576,
  },
  stuck: {
    type: "integer",
    help:
      "seconds without progress of the model's thread, after which the server ends with exit code 70",
    min: 5,
    max: 86_400,
    default: 120,
  },
  supervise: {
    type: "boolean",
    help: "restart the server when it crashes or no longer answers",
  },
  "ready-file": {
    type: "string",
    value: "FILE",
    help: "file that exists while the server answers",
  },
  ...PICTURE_OPTIONS,
  quiet: { type: "boolean", help: "do not log requests on stderr" },
} as const;

export default command({
  name: "serve",
  summary: "serve OpenAI's chat API and a web page",
  operands: "",
  arity: [0, 0],
  options,
  notes:
    "The page is at /, the API at /v1/chat/completions and /v1/models, monitoring at /health and\n/metrics; see docs/server.md. On Ctrl-C the server finishes running answers for at most 30 s.\nIt exits with 0, or with 1 if it had to cut answers off. A second Ctrl-C exits at once.",
  permissions:
    "--allow-read --allow-net=127.0.0.1:8080 (or your --host and --port); --allow-run for\n--supervise, --allow-write=FILE for --ready-file",
  interrupt: "kill",
  async run(_, values) {
    const { host, port } = values, readyFile = values["ready-file"];
    const apiKey = await keyOf(values["api-key"], values["api-key-file"]);
    if (!isLoopback(host) && apiKey === undefined) {
      throw new UsageError(
        `Cannot serve on ${
          JSON.stringify(host)
        }: other machines could use the model without a key; add --api-key-file FILE, or leave out --host`,
      );
    }
    const log = serveLog((bytes) => Deno.stderr.write(bytes));
    try {
      return values.supervise
        ? await serveSupervised({ host, port, readyFile, log })
        : await serveHere(values, apiKey, log);
    } finally {
      await log.flush(FLUSH_MS);
    }
  },
});

type ServeValues = Values<typeof options>;

async function serveHere(
  values: ServeValues,
  apiKey: string | undefined,
  log: ServeLog,
): Promise<number> {
  const say = (text: string) => log.line(text);
  const path = modelPath(values.model), name = values.name ?? nameOf(path);
  const limits = {
    ...LIMITS,
    queue: values.queue,
    maxTokens: values["max-tokens"],
  };
  using told = readiness(values["ready-file"], say);
  const stop = new AbortController(); // ends the loading
  const asked = signalled(say, stop); // before the socket is there: who sees it may signal
  const loading = opening(path, { model: name, limits }, values, stop, log);
  let failed: unknown; // to load; said once, where it is awaited
  loading.catch((error) => failed = error);
  const fault = (error: unknown) => {
    if (error !== failed) say(printable(sentence(error, "answer")));
  };
  onUnhandled(fault);
  let server: Listening;
  try {
    server = listenFor(loading, {
      hostname: values.host,
      port: values.port,
      model: name,
      ...(apiKey === undefined ? {} : { apiKey }),
      hosts: words(values["allow-host"]),
      origins: words(values["allow-origin"]),
      limits,
      ...(values.quiet
        ? {}
        : { log: (entry) => isNews(entry) && say(line(entry)) }),
      metrics: () => [lostLines(log)],
      onError: fault,
    });
  } catch (error) {
    stop.abort();
    throw listenError(error, values.host, values.port);
  }
  const stopped = asked.then(async () => {
    await told.stopping();
    return await server.shutdown(DRAIN_MS);
  });
  try {
    await using model = await loading;
    say(readyLine(name, server.url, model.info));
    await told.ready();
    return await stopped ? EXIT.ok : EXIT.failure;
  } catch (error) {
    if (stop.signal.aborted) return await stopped ? EXIT.ok : EXIT.failure;
    await server.shutdown(0);
    throw error;
  }
}

/**
 * Opens the model in its own thread, so that sockets and signals are served
 * while it computes; without threads, here.
 */
function opening(
  path: string,
  rules: BackendRules,
  values: ServeValues,
  stop: AbortController,
  log: ServeLog,
): Promise<(Remote | Session) & AsyncDisposable> {
  const how = {
    ...(values.threads === undefined ? {} : { threads: values.threads }),
    ...(values.context === undefined ? {} : { context: values.context }),
    ...memoryOption(values),
    ...pictureOptions(values),
    signal: stop.signal,
  };
  if (!canShare(MODEL_WORKER)) return open(path, how);
  return openRemote(path, {
    open: how,
    rules,
    stuckMs: values.stuck * 1000,
    onStuck: (ms) => void stuck(log, ms),
  });
}

function readyLine(name: string, url: string, info: SessionInfo): string {
  const { threads, build, memory, context } = info;
  const mib = Math.round(memory.total / 2 ** 20);
  const many = threads === 1 ? "" : "s";
  return `${name} is ready at ${url} (${threads} thread${many}, ${build} SIMD, ${mib} MiB, context ${context})`;
}

function lostLines({ lost }: ServeLog): Metric {
  return {
    name: "log_lines_lost_total",
    type: "counter",
    help: "Lines of the log that could not be written.",
    value: lost,
  };
}

/**
 * Ends the process because the model's thread hangs and cannot be stopped; a
 * supervisor restarts it.
 */
async function stuck(log: ServeLog, ms: number) {
  log.line(
    `Cannot go on: the model's thread has shown no life for ${
      Math.round(ms / 1000)
    } s; the server ends, so that it can be started again (serve --supervise does)`,
  );
  await log.flush(FLUSH_MS);
  Deno.exit(EXIT.stuck);
}

/**
 * Resolves at the first signal, which cancels loading; a second one ends the
 * process.
 */
function signalled(
  say: (text: string) => void,
  stop: AbortController,
): Promise<void> {
  return new Promise((done) => {
    let heard = false;
    const end = () => {
      if (heard) Deno.exit(EXIT.interrupted);
      heard = true;
      say("finishing what runs; once more to exit at once");
      stop.abort();
      done();
    };
    Deno.addSignalListener("SIGINT", end);
    if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", end);
  });
}

async function keyOf(
  given: string | undefined,
  file: string | undefined,
): Promise<string | undefined> {
  const key = file === undefined
    ? given
    : (await Deno.readTextFile(file)).split("\n")[0].trim();
  if (key === undefined || /^[\x21-\x7e]{8,256}$/.test(key)) return key;
  throw new UsageError(
    `Cannot serve: the API key must have 8 to 256 characters, letters, digits and punctuation, no spaces: this one has ${key.length}; make one with \`openssl rand -hex 16\``,
  );
}

function words(list: string | undefined): string[] {
  return (list ?? "").split(",").map((w) => w.trim()).filter((w) => w !== "");
}

/** Name of a model: `dir/photo-mini.w4a8.safetensors` is photo-mini.w4a8. */
function nameOf(path: string): string {
  return path.replace(/^.*[/\\]/, "").replace(/\.safetensors$/, "");
}

/** Whether a request is logged: health checks with status 200 are not. */
function isNews({ route, status }: LogEntry): boolean {
  return route !== "health" || status >= 400;
}

function line({ method, route, status, code, ms, tokens }: LogEntry): string {
  const words = [method, route, status, code, `${Math.round(ms)} ms`];
  if (tokens !== undefined) words.push(`${tokens} tokens`);
  return dim(words.filter((w) => w !== undefined).join(" "));
}

function listenError(error: unknown, host: string, port: number): unknown {
  const where = `${host}:${port}`;
  if (error instanceof Deno.errors.AddrInUse) {
    return new Error(
      `Cannot serve on ${where}: another program listens there; choose another with --port N`,
    );
  }
  if (error instanceof Deno.errors.NotCapable) {
    return new Error(
      `Cannot serve on ${where}: Deno was not allowed to; run it with --allow-net=${where}`,
    );
  }
  return error;
}
