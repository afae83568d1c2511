/**
 * `deno task storm`: a server under malformed requests, many clients, clients that
 * leave and signals. `--count` is the number of malformed requests; those of the other
 * kinds follow by SHARE. All on 127.0.0.1.
 * @module
 */
import {
  campaignOptions,
  circumstances,
  conclude,
  ticker,
} from "../campaign/campaign.ts";
import { runTasks } from "../campaign/pool.ts";
import type { Outcome } from "./outcome.ts";
import type { Gust } from "./worker.ts";

/** Tries of each kind per malformed request, and how many one process makes at a time. */
const SHARE = {
  bodies: { of: 1, chunk: 1000 },
  clients: { of: 1 / 20, chunk: 1000 },
  cancels: { of: 1 / 100, chunk: 56 },
  shutdowns: { of: 1 / 1000, chunk: 6 },
} as const;

const options = campaignOptions(
  "storm",
  `a server under ${Object.keys(SHARE).join(", ")}`,
  { count: 5000 },
  Object.keys(SHARE),
);
const { seed, count, jobs, minutes, only } = options;
const head = await circumstances(), tick = ticker();
const end = Date.now() + minutes * 60_000;
const tasks: Gust[] = [], findings: unknown[] = [];
for (const kind of Object.keys(SHARE) as Gust["kind"][]) {
  if (only.length > 0 && !only.includes(kind)) continue;
  const { of, chunk } = SHARE[kind], most = Math.ceil(count * of);
  for (let from = 0; from < most; from += chunk) {
    tasks.push({ kind, seed, from, to: Math.min(most, from + chunk) });
  }
}
const totals: Record<string, { tried: number; ends: Record<string, number> }> =
  {};
const all = tasks.length;
let done = 0;
const args = ["run", "--no-prompt", "--no-check", "--allow-all"];
await runTasks<Gust, Outcome>(
  tasks,
  { args: [...args, "tests/storm/worker.ts"], jobs, taskMs: 300_000 },
  (gust, out, failure) => {
    done++;
    const total = totals[gust.kind] ??= { tried: 0, ends: {} };
    if (out) {
      total.tried += out.tried;
      for (const [end, n] of Object.entries(out.ends)) {
        total.ends[end] = (total.ends[end] ?? 0) + n;
      }
      for (const what of out.findings) findings.push({ ...gust, what });
    } else findings.push({ ...gust, what: failure });
    if (Date.now() > end) tasks.length = 0;
    tick(() => `${done} of ${all} parts, ${findings.length} findings`);
  },
);
conclude(options, head, { storm: totals }, findings);
