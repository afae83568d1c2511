/**
 * `deno task fuzz`: damaged input for every parser, in several processes. A process
 * that dies or hangs is a finding: its range is bisected to one input.
 * @module
 */
import {
  campaignOptions,
  circumstances,
  conclude,
} from "../campaign/campaign.ts";
import { ticker } from "../campaign/campaign.ts";
import { runTasks } from "../campaign/pool.ts";
import { type Finding, inputOf, type Tally } from "./attack.ts";
import { TARGETS } from "./targets.ts";
import type { Range } from "./worker.ts";

const CHUNK = 5000;

const NAMES = TARGETS.map((t) => t.name);
const options = campaignOptions(
  "fuzz",
  `damaged input for every parser: ${NAMES.join(", ")}`,
  { count: 200_000 },
  NAMES,
);
const { seed, count, jobs, minutes, only } = options;
const head = await circumstances();
const end = Date.now() + minutes * 60_000;
const tasks: Range[] = [];
const totals: Record<string, Tally> = {};
const findings: Finding[] = [];
for (const { name, rarity = 1 } of TARGETS) {
  if (only.length > 0 && !only.includes(name)) continue;
  const most = Math.ceil(count / rarity), chunk = rarity > 1 ? 2000 : CHUNK;
  for (let from = 0; from < most; from += chunk) {
    tasks.push({ target: name, seed, from, to: Math.min(most, from + chunk) });
  }
}
tasks.sort((a, b) => a.from - b.from); // all at once, should time run out
const all = tasks.reduce((sum, t) => sum + t.to - t.from, 0), tick = ticker();
let tried = 0;
const args = [
  ...["run", "--no-prompt", "--no-check", "--allow-read", "--allow-write"],
  ...["--v8-flags=--max-old-space-size=512", "tests/fuzz/worker.ts"],
];
await runTasks<Range, Tally>(
  tasks,
  { args, jobs, taskMs: 60_000 },
  (range, tally, failure) => {
    if (tally) add(totals[range.target] ??= empty(), tally);
    else halve(range, failure);
    if (tally) tried += tally.inputs;
    if (Date.now() > end) tasks.length = 0;
    tick(() => `${tried} of ${all} inputs, ${findings.length} findings`);
  },
);
for (const { findings: found } of Object.values(totals)) {
  findings.push(...found);
}
const targets = Object.fromEntries(
  Object.entries(totals).map(([name, { findings: _, ...t }]) => [name, t]),
);
conclude(options, head, { inputs: tried, targets }, findings);

function empty(): Tally {
  return {
    inputs: 0,
    read: 0,
    codes: {},
    slowestMs: 0,
    largest: 0,
    grown: 0,
    findings: [],
  };
}

function add(total: Tally, part: Tally) {
  total.inputs += part.inputs;
  total.read += part.read;
  total.slowestMs = Math.max(total.slowestMs, part.slowestMs);
  total.grown = Math.max(total.grown, part.grown);
  total.largest = Math.max(total.largest, part.largest);
  total.findings.push(...part.findings.slice(0, 20 - total.findings.length));
  for (const [code, n] of Object.entries(part.codes)) {
    total.codes[code] = (total.codes[code] ?? 0) + n;
  }
}

function halve(range: Range, failure: string) {
  const { target, seed, from, to } = range;
  if (to - from > 1) {
    const middle = Math.floor((from + to) / 2);
    tasks.push({ ...range, to: middle }, { ...range, from: middle });
    return;
  }
  const input = inputOf(TARGETS.find((t) => t.name === target)!, seed, from);
  findings.push({
    target,
    seed,
    index: from,
    what: failure,
    input: input.toBase64(),
  });
}
