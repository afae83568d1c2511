/**
 * `deno task worst`: searches for the inputs that need the most time and memory.
 * `--count` is the number of inputs of each target; they run in batches with their own
 * seeds until the time is over.
 * @module
 */
import {
  campaignOptions,
  circumstances,
  conclude,
  ticker,
} from "../campaign/campaign.ts";
import { runTasks } from "../campaign/pool.ts";
import type { Worst } from "./search.ts";
import { MOST, WORST } from "./targets.ts";
import type { Search } from "./worker.ts";

/** Inputs of one search: few, so that all targets get their share of the minutes. */
const PIECE = 100;

const names = WORST.map((t) => t.name);
const options = campaignOptions(
  "worst",
  `the inputs of ${names.join(", ")} that take the most`,
  { count: 4000 },
  names,
);
const { seed, count, jobs, minutes, only } = options;
const head = await circumstances(), tick = ticker();
const end = Date.now() + minutes * 60_000;
const tasks: Search[] = [], findings: unknown[] = [];
for (let from = 0; from < count; from += PIECE) {
  for (const target of only.length > 0 ? only : names) {
    const evaluations = Math.min(PIECE, count - from);
    tasks.push({ target, seed: seed + from, evaluations });
  }
}
const all = tasks.length;
const worst: Record<string, Worst> = {};
let done = 0;
const args = [
  ...["run", "--no-prompt", "--no-check", "--allow-all"],
  ...["--v8-flags=--expose-gc", "tests/worst/worker.ts"],
];
await runTasks<Search, Worst>(
  tasks,
  { args, jobs, taskMs: 600_000 },
  (task, out, failure) => {
    done++;
    if (out) merge(worst[task.target] ??= { evaluations: 0, kinds: {} }, out);
    else findings.push({ ...task, what: failure });
    if (Date.now() > end) tasks.length = 0;
    tick(() => `${done} of ${all} searches, ${findings.length} findings`);
  },
);
for (const [target, { kinds }] of Object.entries(worst)) {
  for (const [kind, { cost, input }] of Object.entries(kinds)) {
    if (cost.ms > MOST.ms || cost.mb > MOST.mb) {
      findings.push({ target, kind, cost, input });
    }
  }
}
conclude(options, head, { most: MOST, worst }, findings);

function merge(into: Worst, from: Worst) {
  into.evaluations += from.evaluations;
  for (const [kind, found] of Object.entries(from.kinds)) {
    const known = into.kinds[kind]?.cost;
    const value = (cost: typeof found.cost) =>
      kind.startsWith("time") ? cost.ms : cost.mb;
    const per = (cost: typeof found.cost) =>
      value(cost) / (kind.endsWith("byte") ? cost.bytes + 1000 : 1);
    if (!known || per(found.cost) > per(known)) into.kinds[kind] = found;
  }
}
