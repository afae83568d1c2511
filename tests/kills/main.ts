/**
 * `deno task kills`: kill -9 during quantization, at random moments and at named
 * points of writing, and while folders of a thousand images are captioned. The same
 * command again must end with the same bytes, without loss or duplicates. `--count` is
 * the number of kills of each kind.
 * @module
 */
import {
  campaignOptions,
  circumstances,
  conclude,
} from "../campaign/campaign.ts";
import { ticker } from "../campaign/campaign.ts";
import { runTasks } from "../campaign/pool.ts";
import type { Life, Lived } from "./lives.ts";

/** Most kills of one folder. */
const PER_LIFE = { quantize: 10, points: 10, caption: 50 } as const;

const options = campaignOptions(
  "kills",
  `kill -9 in ${Object.keys(PER_LIFE).join(", ")}`,
  { count: 500 },
  Object.keys(PER_LIFE),
);
const { seed, count, jobs, minutes, only } = options;
const head = await circumstances(), tick = ticker();
const end = Date.now() + minutes * 60_000;
const kinds = (Object.keys(PER_LIFE) as Life["kind"][])
  .filter((kind) => only.length === 0 || only.includes(kind));
const totals = Object.fromEntries(
  kinds.map((kind) => [kind, { kills: 0, lives: 0, asked: 0, begun: 0 }]),
);
const findings: unknown[] = [], tasks: Life[] = [];

/** As many lives as may give the kills that are missing: one that ends before its last kill is followed by another. */
function fill() {
  for (const kind of kinds) {
    const of = totals[kind];
    while (of.asked < count && Date.now() < end) {
      const kills = Math.min(PER_LIFE[kind], count - of.asked);
      of.asked += kills;
      tasks.push({ kind, index: of.begun++, seed, kills });
    }
  }
}

fill();
const args = ["run", "--no-prompt", "--no-check", "--allow-all"];
await runTasks<Life, Lived>(
  tasks,
  { args: [...args, "tests/kills/worker.ts"], jobs, taskMs: 500_000 },
  (life, lived, failure) => {
    const of = totals[life.kind];
    of.lives++;
    if (lived) {
      of.kills += lived.kills;
      if (lived.kills > 0) of.asked -= life.kills - lived.kills;
      for (const what of lived.findings) findings.push({ ...life, what });
    } else findings.push({ ...life, what: failure });
    if (Date.now() > end) tasks.length = 0;
    else fill();
    tick(() =>
      `${
        kinds.map((k) => `${k} ${totals[k].kills}`).join(", ")
      } kills, ${findings.length} findings`
    );
  },
);
const kills = Object.fromEntries(
  kinds.map((k) => [k, { kills: totals[k].kills, folders: totals[k].lives }]),
);
conclude(options, head, { kills }, findings);
