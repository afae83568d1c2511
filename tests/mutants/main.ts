/**
 * `deno task mutants`: puts each seeded bug into a copy of the sources and runs the
 * tests for that code; a bug that no test detects is a finding. `--count` limits the
 * number of bugs.
 * @module
 */
import {
  campaignOptions,
  circumstances,
  conclude,
  ticker,
} from "../campaign/campaign.ts";
import { killAfter } from "../campaign/kill_after.ts";
import type { Mutant } from "./mutant.ts";
import { MUTANTS } from "./mutants.ts";
import { FILES } from "./files.ts";
import { OUTSIDERS } from "./outsiders.ts";

/** Bugs that may go unnoticed. */
const MOST_MISSED = 2;

/** What tests need of a checkout. */
const PARTS = [
  ...["src", "tests", "tools", "models", "examples", "docs", "kernels"],
  ...["deno.json", "deno.lock", "README.md", "asconfig.json"],
];

const options = campaignOptions(
  "mutants",
  `${MUTANTS.length} seeded bugs, each to be noticed by a test`,
  { count: MUTANTS.length },
  ["outsiders", "files"],
);
const head = await circumstances(), tick = ticker();
const SETS: Record<string, readonly Mutant[]> = {
  outsiders: OUTSIDERS,
  files: FILES,
};
const list = SETS[options.only[0]] ?? MUTANTS;
const root = Deno.cwd(), todo = list.slice(0, options.count);
const missed: string[] = [], stale: string[] = [], caught: string[] = [];
const queue = [...todo];
await Promise.all(Array.from({ length: options.jobs }, async () => {
  const copy = Deno.makeTempDirSync();
  try {
    for (const part of PARTS) {
      await copyTo(`${root}/${part}`, `${copy}/${part}`);
    }
    for (let m = queue.shift(); m; m = queue.shift()) {
      const name = `${m.file}: ${m.what}`;
      const noticed = await tryOne(copy, m);
      (noticed === undefined ? stale : noticed ? caught : missed).push(name);
      tick(() =>
        `${caught.length} noticed, ${missed.length} missed, ${queue.length} to come`
      );
    }
  } finally {
    Deno.removeSync(copy, { recursive: true });
  }
}));
for (const name of missed) console.error(`missed: ${name}`);
const findings = [
  ...stale.map((name) => ({ name, what: "its text is not there once" })),
  ...missed.length > MOST_MISSED ? missed : [],
];
conclude(options, head, {
  mutants: todo.length,
  noticed: caught.length,
  missed,
}, findings);

/** Whether the tests notice; undefined where the bug cannot be put in. */
async function tryOne(copy: string, m: Mutant): Promise<boolean | undefined> {
  const path = `${copy}/${m.file}`, text = Deno.readTextFileSync(path);
  if (text.split(m.from).length !== 2) return undefined;
  Deno.writeTextFileSync(path, text.replace(m.from, () => m.to));
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "test",
        "--no-check",
        "--allow-all",
        "--fail-fast",
        "--quiet",
        ...m.tests,
      ],
      cwd: copy,
      env: { NO_COLOR: "1" },
      stdout: "null",
      stderr: "null",
    }).spawn();
    // A bug that makes the tests hang is noticed, too.
    const timer = killAfter(child, 120_000);
    const { success } = await child.status;
    clearTimeout(timer);
    return !success;
  } finally {
    Deno.writeTextFileSync(path, text);
  }
}

/** Copies a file, or a folder with what git knows of it being no matter: large data are linked. */
async function copyTo(from: string, to: string) {
  const stat = await Deno.lstat(from);
  if (!stat.isDirectory) {
    if (stat.size > 1_000_000) await Deno.symlink(from, to);
    else await Deno.copyFile(from, to);
    return;
  }
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) {
    await copyTo(`${from}/${name}`, `${to}/${name}`);
  }
}
