/**
 * SIGTERM and SIGINT to `serve` in every state: running requests finish, no event is
 * truncated, the exit code is 0; a second signal ends it at once.
 * @module
 */
import { toy } from "../agreement/toy_file.ts";
import { killAfter } from "../campaign/kill_after.ts";
import { ROOT } from "../hostile_cli/run.ts";
import { say } from "../server/fake.ts";
import { type Outcome, outcome } from "./outcome.ts";
import { freePort } from "../free_port.ts";

const STATES = [
  "loading",
  "idle",
  "streaming",
  "queued",
  "uploading",
  "twice",
] as const;
const MOST_MS = 30_000;

/** Shutdowns number `from` to `to` − 1. */
export async function shutdowns(
  { from, to }: { from: number; to: number },
): Promise<Outcome> {
  const out = outcome(), folder = Deno.makeTempDirSync();
  const model = `${folder}/toy.safetensors`;
  Deno.writeFileSync(model, toy().bytes);
  try {
    for (let i = from; i < to; i++) {
      const signal = i % 2 === 0 ? "SIGTERM" : "SIGINT";
      const state = STATES[Math.floor(i / 2) % STATES.length];
      out.tried++;
      const problem = await shutdown(model, state, signal);
      if (problem) out.find(`${state} ${signal}: ${problem}`);
      else out.end(`${state} ${signal}`);
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
  return out;
}

async function shutdown(
  model: string,
  state: typeof STATES[number],
  signal: "SIGTERM" | "SIGINT",
): Promise<string | undefined> {
  const port = freePort(), url = `http://127.0.0.1:${port}`;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check"],
      ...[`--allow-read=${ROOT},${model}`, `--allow-net=127.0.0.1:${port}`],
      ...["src/cli/main.ts", "serve", `--model=${model}`, "--threads=1"],
      `--port=${port}`,
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ready = Promise.withResolvers<void>();
  let err = "";
  const said = (async () => {
    for await (
      const piece of child.stderr.pipeThrough(new TextDecoderStream())
    ) {
      err += piece;
      if (/is ready at/.test(err)) ready.resolve();
    }
    ready.resolve();
  })();
  if (state === "loading") await listening(port);
  else await ready.promise;
  const tokens = state === "twice" ? 1000 : 100;
  const ask = (body: BodyInit) =>
    fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
  const stream = () =>
    ask(JSON.stringify(say("hi", { stream: true, max_tokens: tokens })));
  const answers: Promise<string>[] = [];
  if (/streaming|queued|twice/.test(state)) {
    const first = await stream();
    answers.push(first.text());
  }
  if (state === "queued") {
    for (let i = 0; i < 3; i++) answers.push(stream().then((r) => r.text()));
    await waiting(url, 3);
  }
  let uploaded: Promise<unknown> | undefined;
  if (state === "uploading") {
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(
          new TextEncoder().encode('{"messages":[{"role":"user",'),
        );
        await new Promise((go) => setTimeout(go, 100));
        controller.enqueue(
          new TextEncoder().encode('"content":"hi"}],"max_tokens":3}'),
        );
        controller.close();
      },
    });
    uploaded = ask(body).then(async (r) => `${r.status} ${await r.text()}`);
    await new Promise((go) => setTimeout(go, 30));
  }
  for (const answer of answers) answer.catch(() => {});
  uploaded?.catch(() => {});
  const begin = performance.now();
  child.kill(signal);
  if (state === "twice") {
    await new Promise((go) => setTimeout(go, 5));
    try {
      child.kill(signal);
    } catch { /* it had nothing to finish */ }
  }
  const timer = killAfter(child, MOST_MS + 5000);
  const { code } = await child.status;
  clearTimeout(timer);
  const ms = performance.now() - begin;
  await said;
  await child.stdout.cancel();
  if (state === "twice") {
    return ms < 2000 && (code === 130 || code === 0)
      ? undefined
      : `code ${code} after ${Math.round(ms)} ms`;
  }
  if (code !== 0) return `code ${code}: ${err.slice(-300)}`;
  if (ms > MOST_MS) return `took ${Math.round(ms)} ms`;
  for (const answer of answers) {
    const text = await answer.catch((e) => `broken: ${e}`);
    const whole = /\[DONE\]\n\n$/.test(text) ||
      /"code":"shutting_down"/.test(text);
    if (!whole) return `an answer was cut: ${text.slice(-100)}`;
    for (const event of text.split("\n\n")) {
      if (!event.startsWith("data: {")) continue;
      try {
        JSON.parse(event.slice(6));
      } catch {
        return `half an event: ${event.slice(0, 100)}`;
      }
    }
  }
  const upload = await uploaded?.catch((e) => `broken: ${e}`);
  if (upload !== undefined && !/^(200|503) /.test(String(upload))) {
    return `an upload got ${String(upload).slice(0, 100)}`;
  }
  return undefined;
}

/** Waits until so many requests wait for their turn: who has not been let in may be refused. */
async function waiting(url: string, count: number) {
  for (let i = 0; i < 500; i++) {
    const text = await (await fetch(`${url}/metrics`)).text();
    // Fast answers may be over before all have come.
    if (text.includes(`{stage="waiting"} ${count}\n`)) return;
    if (/\{stage="running"\} 0\n/.test(text)) return;
    await new Promise((go) => setTimeout(go, 1));
  }
}

/** Waits until somebody listens. */
async function listening(port: number) {
  for (let i = 0; i < 2000; i++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch {
      await new Promise((go) => setTimeout(go, 5));
    }
  }
}
