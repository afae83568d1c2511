/**
 * `deno task siege`: repeats every attack against a server of the bundled model while
 * normal clients use it. `--count` is the number of normal clients.
 * @module
 */
import {
  campaignOptions,
  circumstances,
  conclude,
  ticker,
} from "../campaign/campaign.ts";
import { freePort } from "../free_port.ts";
import { quantile } from "../quantile.ts";
import { siege } from "./siege.ts";

/** Most milliseconds of /health in 95 of 100. */
const HEALTH_MS = 50;

const options = campaignOptions("siege", "attacks on a server in use", {
  count: 2,
  minutes: 30,
});
const head = await circumstances(), tick = ticker();
const port = freePort();
const child = new Deno.Command(Deno.execPath(), {
  args: [
    ...["run", "--quiet", "--no-prompt", "--allow-read"],
    ...[`--allow-net=127.0.0.1:${port}`, "src/cli/main.ts", "serve"],
    ...["--quiet", "--threads=1", `--port=${port}`],
  ],
  env: { NO_COLOR: "1" },
  stdout: "null",
  stderr: "inherit",
}).spawn();
const memory = () => {
  const text = Deno.readTextFileSync(`/proc/${child.pid}/status`);
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]) / 1024;
};
for (let i = 0; i < 600; i++) {
  const ok = await fetch(`http://127.0.0.1:${port}/health`)
    .then(async (r) => (await r.text(), r.ok), () => false);
  if (ok) break;
  await new Promise((go) => setTimeout(go, 100));
}
const photo = await Deno.readFile("models/photo-mini/photos/cat.jpg");
const body = JSON.stringify({
  messages: [{
    role: "user",
    content: [
      {
        type: "image_url",
        image_url: { url: `data:image/jpeg;base64,${photo.toBase64()}` },
      },
      { type: "text", text: "Describe this image." },
    ],
  }],
  max_tokens: 16,
});
const sampled: number[] = [];
const out = await siege({
  port,
  ms: options.minutes * 60_000,
  body,
  clients: options.count,
  tick(now) {
    sampled.push(memory());
    tick(() =>
      `${now.answers} answers, ${now.later} times later, /health p95 ${
        Math.round(quantile(now.health, 0.95))
      } ms, ${Math.round(memory())} MB, ${now.findings.length} findings`
    );
  },
});
const { health, findings, ...rest } = out, p95 = quantile(health, 0.95);
if (p95 > HEALTH_MS) findings.push(`/health: p95 ${p95} ms`);
/** Mean memory of each quarter of the time: it must not go up and up. */
const quarters = [0, 1, 2, 3].map((i) => {
  const part = sampled.slice(
    Math.floor(i * sampled.length / 4),
    Math.floor((i + 1) * sampled.length / 4),
  );
  return Math.round(part.reduce((a, b) => a + b, 0) / part.length);
});
child.kill("SIGTERM");
const { code } = await child.status;
if (code !== 0) findings.push(`the server ended with ${code}`);
conclude(options, head, {
  ...rest,
  healthMs: {
    asked: health.length,
    median: quantile(health, 0.5),
    p95,
    p99: quantile(health, 0.99),
    most: Math.max(...health),
  },
  rssMb: { peak: Math.round(Math.max(...sampled)), quarters },
}, findings);
