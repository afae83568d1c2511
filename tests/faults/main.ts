/**
 * `deno task faults`: each file system call of a command fails once in every possible
 * way; `--count` limits the calls per command.
 * @module
 */
import {
  campaignOptions,
  circumstances,
  conclude,
} from "../campaign/campaign.ts";
import { ticker } from "../campaign/campaign.ts";
import { runTasks } from "../campaign/pool.ts";
import { SCENARIOS, wholeRun } from "./scenarios.ts";
import type { Place, Tried } from "./worker.ts";

const NAMES = SCENARIOS.map((s) => s.name);
const options = campaignOptions(
  "faults",
  `failing calls to the file system in ${NAMES.join(", ")}`,
  { count: 1_000_000 },
  NAMES,
);
const head = await circumstances(), tick = ticker();
const tasks: Place[] = [], calls: Record<string, number> = {};
for (const scenario of SCENARIOS) {
  const { name } = scenario;
  if (options.only.length > 0 && !options.only.includes(name)) continue;
  calls[name] = (await wholeRun(scenario)).calls.length;
  const step = Math.max(1, calls[name] / options.count);
  for (let at = 1; at <= calls[name]; at += step) {
    tasks.push({ scenario: name, at: Math.floor(at) });
  }
}
const end = Date.now() + options.minutes * 60_000, all = tasks.length;
const hit: Record<string, Record<string, number>> = {};
const findings: unknown[] = [];
let tried = 0, done = 0;
const args = ["run", "--no-prompt", "--no-check", "--allow-all"];
await runTasks<Place, Tried>(
  tasks,
  {
    args: [...args, "tests/faults/worker.ts"],
    jobs: options.jobs,
    taskMs: 180_000,
  },
  (place, result, failure) => {
    done++;
    if (!result) findings.push({ ...place, what: failure });
    else {
      tried += result.tried;
      findings.push(...result.findings);
      const of = hit[place.scenario] ??= {};
      for (const [key, n] of Object.entries(result.hit)) {
        of[key] = (of[key] ?? 0) + n;
      }
    }
    if (Date.now() > end) tasks.length = 0;
    tick(() => `${done} of ${all} calls, ${findings.length} findings`);
  },
);
conclude(options, head, { calls, tried, hit }, findings);
