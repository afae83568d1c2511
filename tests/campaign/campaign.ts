/**
 * Shared parts of the long tasks (`fuzz`, `faults`, `soak`): options, a progress line,
 * and a report of what ran, where, and for how long.
 * @module
 */
import { parseArgs } from "node:util";

/** Options of every campaign. */
export interface CampaignOptions {
  /** Seed of all random choices. */
  readonly seed: number;
  /** How many tries of each kind. */
  readonly count: number;
  /** Processes at work at the same time. */
  readonly jobs: number;
  /** Stop after so many minutes. */
  readonly minutes: number;
  /** Only kinds of these names; all where empty. */
  readonly only: readonly string[];
  /** Where to write the report, JSON. */
  readonly report: string | undefined;
}

/** Reads `--seed --count --jobs --minutes --only --report`; `--only` takes some of `kinds`. Ends the process where they make no sense. */
export function campaignOptions(
  task: string,
  what: string,
  defaults: { count: number; minutes?: number },
  kinds: readonly string[] = [],
): CampaignOptions {
  const string = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      help: { type: "boolean", short: "h" },
      ...{ seed: string, count: string, jobs: string, minutes: string },
      ...{ only: string, report: string },
    },
  });
  if (values.help) {
    console.log(`deno task ${task}: ${what}

  --seed N       seed of all random choices (default 1)
  --count N      tries of each kind (default ${defaults.count})
  --jobs N       processes at the same time (default 1)
  --minutes N    stop after so many minutes (default ${defaults.minutes ?? 600})
  --only A,B     only these kinds
  --report FILE  write what came of it as JSON`);
    Deno.exit(0);
  }
  const number = (name: "seed" | "count" | "jobs" | "minutes", or: number) => {
    const value = Number(values[name] ?? or);
    if (value >= 0 && Number.isFinite(value)) return value;
    console.error(
      `Cannot run ${task}: --${name} must be a number from 0: it is ${
        JSON.stringify(values[name])
      }; leave it out for ${or}`,
    );
    Deno.exit(2);
  };
  const only = values.only?.split(",") ?? [];
  const unknown = only.find((kind) => !kinds.includes(kind));
  if (unknown !== undefined) {
    console.error(
      `Cannot run ${task}: --only has ${JSON.stringify(unknown)}; known are ${
        kinds.join(", ") || "none"
      }`,
    );
    Deno.exit(2);
  }
  return {
    seed: number("seed", 1),
    count: number("count", defaults.count),
    jobs: Math.max(1, number("jobs", 1)),
    minutes: number("minutes", defaults.minutes ?? 600),
    only,
    report: values.report,
  };
}

/** What was run where, for the head of a report. */
export async function circumstances(): Promise<Record<string, unknown>> {
  const git = new Deno.Command("git", { args: ["rev-parse", "HEAD"] });
  const { stdout } = await git.output().catch(() => ({
    stdout: new Uint8Array(),
  }));
  return {
    commit: new TextDecoder().decode(stdout).trim() || "unknown",
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    system: `${Deno.build.os} ${Deno.build.arch}`,
    cpus: navigator.hardwareConcurrency,
    begun: new Date().toISOString(),
  };
}

/** Writes the report where one was asked for, says how it ended, and ends the process: 0, or 1 with findings. */
export function conclude(
  options: CampaignOptions,
  head: Record<string, unknown>,
  result: Record<string, unknown>,
  findings: readonly unknown[],
): never {
  const hours = (Date.now() - Date.parse(String(head.begun))) / 3.6e6;
  const { report, ...asked } = options;
  const all = { ...head, hours: Number(hours.toFixed(4)), asked, ...result };
  const text = JSON.stringify({ ...all, findings }, null, 1);
  if (report) Deno.writeTextFileSync(report, text + "\n");
  for (const finding of findings.slice(0, 10)) {
    console.error(JSON.stringify(finding).slice(0, 600));
  }
  console.error(`${findings.length} findings, ${(hours * 60).toFixed(1)} min`);
  Deno.exit(findings.length === 0 ? 0 : 1);
}

/** Prints a line on stderr, at most one a second. */
export function ticker(): (line: () => string) => void {
  let last = 0;
  return (line) => {
    if (Date.now() - last < 1000) return;
    last = Date.now();
    console.error(line());
  };
}
