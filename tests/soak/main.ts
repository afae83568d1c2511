/**
 * `deno task soak`: a server of the bundled model under mixed load: captions, plain
 * and streamed, text, clients that leave, bad requests. Its memory must not grow, its
 * times must not drift, and the same request must always get the same answer. Because
 * a shared machine drifts, the old server is compared with a new one at the end, in
 * alternation. `--count` is the milliseconds between two requests of a client,
 * `--jobs` the number of clients.
 * @module
 */
import {
  campaignOptions,
  circumstances,
  conclude,
  ticker,
} from "../campaign/campaign.ts";
import { drawOf } from "../fuzz/mutate.ts";
import { freePort } from "../free_port.ts";
import { quantile } from "../quantile.ts";

const PHOTOS = ["cat", "photographer", "astronaut"];
/** Share of the time that warms up: caches fill, code is compiled. */
const WARM = 0.2;
/** Captions of each server when the old one is held to a new one; before them, what lets the new one compile its code. */
const TURNS = 400, WARM_UP = 30;

const options = campaignOptions("soak", "a server under mixed load", {
  count: 500,
  minutes: 60,
});
const { seed, count: pauseMs, jobs, minutes } = options;
const head = await circumstances(), tick = ticker();
const findings: string[] = [];
const find = (what: string) =>
  void (findings.length < 50 && findings.push(what));
const times: { at: number; ms: number }[] = [];
const memory: { at: number; mb: number; cpu: number; done: number }[] = [];
const ends: Record<string, number> = {}, answers = new Map<string, string>();
const photos = await Promise.all(
  PHOTOS.map(async (name) =>
    `data:image/jpeg;base64,${
      (await Deno.readFile(`models/photo-mini/photos/${name}.jpg`)).toBase64()
    }`
  ),
);

const server = await serve();
const begin = Date.now(), end = begin + minutes * 60_000;
const hoursAt = () => (Date.now() - begin) / 3.6e6;
const sampler = setInterval(() => {
  const done = Object.values(ends).reduce((a, b) => a + b, 0);
  memory.push({
    at: hoursAt(),
    mb: rssOf(server.process.pid),
    cpu: cpuOf(server.process.pid),
    done,
  });
}, 10_000);
await Promise.all(Array.from({ length: jobs }, (_, job) => client(job)));
clearInterval(sampler);
const beside = await besideNew();
await stop(server);

const warm = hoursAt() * WARM;
const settled = memory.filter((m) => m.at > warm);
const slope = slopeOf(settled);
const calm = times.filter((t) => t.at > warm);
const third = Math.floor(calm.length / 3);
const p95 = [calm.slice(0, third), calm.slice(-third)]
  .map((part) => quantile(part.map((t) => t.ms), 0.95));
const part = Math.floor(settled.length / 3);
const cpu = [cpuEach(settled.slice(0, part)), cpuEach(settled.slice(-part))];
conclude(options, head, {
  requests: Object.values(ends).reduce((a, b) => a + b, 0),
  ends,
  sameAnswers: answers.size,
  rssMb: {
    first: settled[0]?.mb,
    last: settled.at(-1)?.mb,
    slopePerHour: slope,
  },
  p95Ms: { firstThird: p95[0], lastThird: p95[1], drift: p95[1] / p95[0] - 1 },
  // What the server itself worked: other work on the machine moves it less.
  cpuMsPerRequest: {
    firstThird: cpu[0],
    lastThird: cpu[1],
    drift: cpu[1] / cpu[0] - 1,
  },
  besideNewMs: beside,
}, findings);

/** A server of the bundled model on a port of its own. */
interface Server {
  readonly url: string;
  readonly process: Deno.ChildProcess;
}

async function serve(): Promise<Server> {
  const port = freePort(), url = `http://127.0.0.1:${port}`;
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--allow-read"],
      ...[`--allow-net=127.0.0.1:${port}`, "src/cli/main.ts", "serve"],
      ...["--quiet", "--threads=1", `--port=${port}`, "--name=soak"],
    ],
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  for (let i = 0; i < 600 && !await ready(url); i++) {
    await new Promise((go) => setTimeout(go, 100));
  }
  return { url, process };
}

async function stop({ process }: Server) {
  process.kill("SIGTERM");
  const { code } = await process.status;
  if (code !== 0) find(`the server ended with ${code}`);
}

/** The same captions from the old server and from a new one, in turns: p95 and median of each, and of the old one over the new. */
async function besideNew() {
  const fresh = await serve();
  const taken: [number[], number[]] = [[], []];
  for (let i = 0; i < WARM_UP + TURNS; i++) {
    for (const [which, { url }] of [server, fresh].entries()) {
      const ms = await timed(url, "plain", i % PHOTOS.length, i % 2);
      if (ms !== undefined && i >= WARM_UP) taken[which].push(ms);
    }
  }
  await stop(fresh);
  const of = (share: number) => {
    const [old, young] = taken.map((list) => quantile(list, share));
    return { old, new: young, drift: old / young - 1 };
  };
  return { turns: TURNS, p95: of(0.95), median: of(0.5) };
}

/** Milliseconds that a request takes; undefined, and a finding, where it fails. */
async function timed(url: string, name: string, photo: number, warmth: number) {
  const from = performance.now();
  try {
    await ask(url, name, photo, warmth);
    return performance.now() - from;
  } catch (error) {
    find(`${name}: ${String(error)}`);
  }
}

/** One client, one request after the other. */
async function client(job: number) {
  for (let i = 0; Date.now() < end; i++) {
    const draw = drawOf(seed, `client ${job}`, i), kind = draw(10);
    const name = kind < 5
      ? "plain"
      : kind < 7
      ? "stream"
      : kind < 8
      ? "text"
      : kind < 9
      ? "left"
      : "bad";
    const ms = await timed(server.url, name, draw(PHOTOS.length), draw(2));
    if (ms !== undefined) {
      if (name === "plain") times.push({ at: hoursAt(), ms });
      ends[name] = (ends[name] ?? 0) + 1;
    }
    tick(() =>
      `${
        Math.round(hoursAt() * 60)
      } of ${minutes} min, ${times.length} answers, ${
        memory.at(-1)?.mb ?? 0
      } MB, ${findings.length} findings`
    );
    await new Promise((go) => setTimeout(go, pauseMs));
  }
}

async function ask(url: string, name: string, photo: number, warmth: number) {
  const content = name === "text" ? "hello" : [
    { type: "image_url", image_url: { url: photos[photo] } },
    { type: "text", text: "Describe this image." },
  ];
  const body = JSON.stringify({
    messages: [{ role: "user", content }],
    max_tokens: name === "bad" ? -1 : 24,
    temperature: warmth,
    seed: 5,
    stream: name === "stream",
  });
  const leave = new AbortController();
  const timer = name === "left"
    ? setTimeout(() => leave.abort(), 60)
    : undefined;
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      signal: leave.signal,
    });
    const text = await response.text();
    if (name === "bad") {
      if (response.status !== 400) find(`bad: ${response.status}`);
      return;
    }
    if (response.status !== 200) throw new Error(`${response.status} ${text}`);
    const said = name === "stream"
      ? text.split("\n\n").filter((e) => e.startsWith("data: {"))
        .map((e) => JSON.parse(e.slice(6)).choices[0]?.delta.content ?? "")
        .join("")
      : JSON.parse(text).choices[0].message.content;
    const key = name === "text" ? `text ${warmth}` : `${photo} ${warmth}`;
    const known = answers.get(key) ?? said;
    answers.set(key, known);
    if (known !== said) find(`${key}: ${JSON.stringify([known, said])}`);
  } catch (error) {
    if (!leave.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function ready(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`);
    await response.text();
    return response.ok;
  } catch {
    return false;
  }
}

/** Memory of a process in MB; Linux only. */
function rssOf(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]) / 1024;
}

/** Seconds of processor time that a process has had; Linux only, where a tick is 10 ms. */
function cpuOf(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Milliseconds of processor time per request between the first and the last sample. */
function cpuEach(
  samples: readonly { readonly cpu: number; readonly done: number }[],
): number {
  const first = samples[0], last = samples.at(-1);
  if (!first || !last) return NaN;
  return 1000 * (last.cpu - first.cpu) / (last.done - first.done);
}

/** MB per hour, by least squares. */
function slopeOf(points: readonly { at: number; mb: number }[]): number {
  const n = points.length;
  const x = points.reduce((s, p) => s + p.at, 0) / n;
  const y = points.reduce((s, p) => s + p.mb, 0) / n;
  const xy = points.reduce((s, p) => s + (p.at - x) * (p.mb - y), 0);
  const xx = points.reduce((s, p) => s + (p.at - x) ** 2, 0);
  return xy / xx;
}
