/**
 * Commands for fault injection. After each failure no existing file is lost, no
 * partial file is left, and the same command then succeeds with the usual result.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { sentence } from "../../src/cli/errors.ts";
import { main } from "../../src/cli/main.ts";
import { produce } from "../../src/convert/produce.ts";
import { writeModelFile } from "../../src/format/write_model.ts";
import { toy } from "../agreement/toy_file.ts";
import { type Call, type Fault, type Injected, withFault } from "./inject.ts";

/** A command under faults. */
export interface Scenario {
  /** Its name. */
  readonly name: string;
  /** Puts a fresh folder into its first state. */
  prepare(folder: string): void | Promise<void>;
  /** Its command line; or, where it is no command, what it does. */
  readonly run: (
    folder: string,
  ) => readonly string[] | (() => void | Promise<unknown>);
  /** Checks the folder after a failure, against what a run without one leaves. */
  check(folder: string, whole: ReadonlyMap<string, string>): void;
  /** Exit codes that are right where something failed. */
  readonly codes: readonly number[];
}

const OLD = "old bytes";
const PHOTOS = ["cat.jpg", "photographer.jpg"];
const model = (folder: string) => `${folder}/toy.safetensors`;

function preparePhotos(folder: string) {
  Deno.mkdirSync(`${folder}/photos`);
  for (const name of PHOTOS) {
    Deno.copyFileSync(
      `models/photo-mini/photos/${name}`,
      `${folder}/photos/${name}`,
    );
  }
}

/** `path` holds the old bytes or the new ones, nothing between. */
function oldOrNew(
  folder: string,
  name: string,
  whole: ReadonlyMap<string, string>,
) {
  const found = filesOf(folder).get(name);
  assert(found === OLD || found === whole.get(name), `${name} is torn`);
}

const quantize: Scenario = {
  name: "quantize",
  prepare: (folder) => Deno.writeTextFileSync(`${folder}/out`, OLD),
  // In this thread, whose calls can be made to fail: the command has one of its own.
  run: (folder) => () =>
    produce({
      checkpoint: "tests/golden/smolvlm-toy",
      calibration: "models/photo-mini/photos",
      samples: 1,
      threads: 1,
      out: `${folder}/out`,
    }, { report() {}, throwIfStopped() {} }),
  check: (folder, whole) => oldOrNew(folder, "out", whole),
  codes: [1],
};

/** Work that a killed run has left: about half of its records, the last one torn. */
let left: Promise<Uint8Array> | undefined;

function halfDone(): Promise<Uint8Array> {
  return left ??= inFolder(quantize, async (folder) => {
    const { calls } = await wholeRun(quantize);
    const at = Math.floor(calls.length / 2);
    await withFault(
      at,
      "error",
      async () => void await runOnce(quantize, folder),
    );
    const part = Deno.readFileSync(`${folder}/out.part`);
    return part.subarray(0, part.length - 99);
  });
}

const resume: Scenario = {
  ...quantize,
  name: "resume",
  async prepare(folder) {
    const part = await halfDone();
    quantize.prepare(folder);
    Deno.writeFileSync(`${folder}/out.part`, part);
  },
};

const write: Scenario = {
  name: "write",
  prepare: (folder) => Deno.writeTextFileSync(`${folder}/out`, OLD),
  run: (folder) => () =>
    writeModelFile(`${folder}/out`, {
      metadata: { architecture: "none" },
      tensors: ["a", "b"].map((name) => ({
        name,
        dtype: "F32",
        shape: [300],
        data: () => new Float32Array(300).fill(1),
      })),
      assets: { "x.json": new TextEncoder().encode("{}") },
    }),
  check: (folder, whole) => oldOrNew(folder, "out", whole),
  codes: [1],
};

const caption: Scenario = {
  name: "caption",
  prepare(folder) {
    preparePhotos(folder);
    Deno.writeFileSync(model(folder), toy().bytes);
  },
  run: (folder) => [
    "caption",
    `--model=${model(folder)}`,
    "--threads=1",
    "--max-tokens=4",
    ...PHOTOS.map((name) => `${folder}/photos/${name}`),
  ],
  check(folder, whole) {
    assertEquals(filesOf(folder), whole); // it writes nothing
  },
  codes: [1, 3],
};

const captionFolder: Scenario = {
  name: "caption-folder",
  prepare: caption.prepare,
  run: (folder) => [
    "caption",
    `--model=${model(folder)}`,
    "--threads=1",
    "--max-tokens=4",
    "--sidecar=txt,json",
    `${folder}/photos`,
  ],
  check(folder, whole) {
    for (const [name, text] of filesOf(folder)) {
      // Sidecars are whole or not there; the journal's lines are.
      if (/\.(txt|json)$/.test(name)) assertEquals(text, whole.get(name), name);
      if (name.endsWith(".jsonl")) checkLines(text, whole.get(name)!);
    }
  },
  codes: [1, 3],
};

/** Each whole line is one of `whole`'s, none twice; the last may be cut. Every run has a folder of its own, so the folder's inode differs. */
function checkLines(text: string, whole: string) {
  const linesOf = (text: string) =>
    text.replace(/"folder":"\d+"/g, '"folder":"0"').split("\n");
  const lines = linesOf(text).filter((l) => l !== "" && isJson(l));
  const known = new Set(linesOf(whole));
  for (const line of lines) assert(known.has(line), `strange line ${line}`);
  assertEquals(new Set(lines).size, lines.length, "a line is there twice");
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

/** All of them. */
export const SCENARIOS: readonly Scenario[] = [
  write,
  caption,
  captionFolder,
  quantize,
  resume,
];

/** Contents of the files below a folder, as Latin-1 text, by path. */
export function filesOf(folder: string, path = ""): Map<string, string> {
  const files = new Map<string, string>();
  const entries = [...Deno.readDirSync(`${folder}${path}`)];
  for (
    const { name, isDirectory } of entries.toSorted((a, b) =>
      a.name < b.name ? -1 : 1
    )
  ) {
    const at = `${path}/${name}`;
    if (isDirectory) {
      for (const [k, v] of filesOf(folder, at)) files.set(k, v);
    } else {
      const bytes = Deno.readFileSync(`${folder}${at}`);
      files.set(at.slice(1), new TextDecoder("latin1").decode(bytes));
    }
  }
  return files;
}

/** Runs a scenario once in `folder`; returns its exit code and what it said. */
async function runOnce(scenario: Scenario, folder: string) {
  const said: string[] = [], controller = new AbortController();
  const io = {
    out() {},
    err: (line: string) => void said.push(line),
    status() {},
    signal: controller.signal,
    controller,
  };
  const run = scenario.run(folder);
  if (typeof run !== "function") return { code: await main(run, io), said };
  try {
    await run();
    return { code: 0, said };
  } catch (error) {
    return { code: 1, said: [sentence(error, scenario.name)] };
  }
}

/** What a scenario leaves where nothing fails, and its calls. */
export interface Whole {
  readonly files: ReadonlyMap<string, string>;
  readonly calls: readonly Call[];
}

/** Runs a scenario without a fault: twice, since what a process reads once (a decoder) does not come again. */
export async function wholeRun(scenario: Scenario): Promise<Whole> {
  const once = () =>
    inFolder(scenario, async (folder) => {
      let code = -1;
      const { calls } = await withFault(0, "error", async () => {
        code = (await runOnce(scenario, folder)).code;
      });
      assertEquals(code, 0);
      return { files: filesOf(folder), calls };
    });
  await once();
  return await once();
}

/** Lets call `at` of a scenario fail by `fault`, checks what is left, runs it again. */
export async function tryFault(
  scenario: Scenario,
  at: number,
  fault: Fault,
  whole: ReadonlyMap<string, string>,
): Promise<Injected> {
  return await inFolder(scenario, async (folder) => {
    let outcome = { code: -1, said: [""] };
    const injected = await withFault(at, fault, async () => {
      outcome = await runOnce(scenario, folder);
    });
    const { code, said } = outcome;
    if (code === 0) assertSame(folder, whole, "a fault left traces");
    else {
      assert(injected.failed !== undefined, `failed by itself: ${said}`);
      assert(scenario.codes.includes(code), `exit code ${code}: ${said}`);
      const why = said.find((line) => line.startsWith("Cannot "));
      assert(why !== undefined, `says ${said}`);
      assertMatch(why, /^[^\n]{10,500}$/);
      assert(!/at file:|\.ts:\d/.test(why), why);
    }
    scenario.check(folder, whole);
    const again = await runOnce(scenario, folder);
    assertEquals(again.code, 0, `not mended: ${again.said}`);
    assertSame(folder, whole, "not mended");
    return injected;
  });
}

/**
 * The folder holds `whole`; the order of a journal's lines, and a line that was
 * cut, do not matter; which folder a line was written in differs.
 */
function assertSame(
  folder: string,
  whole: ReadonlyMap<string, string>,
  what: string,
) {
  const settled = (name: string, text: string) =>
    name.endsWith(".jsonl")
      ? text.split("\n").filter((l) => l !== "" && isJson(l))
        .map((l) => JSON.stringify({ ...JSON.parse(l), folder: "" }))
        .sort().join("\n")
      : text;
  const found = filesOf(folder);
  assertEquals([...found.keys()], [...whole.keys()], what);
  for (const [name, text] of found) {
    const same = settled(name, text) === settled(name, whole.get(name)!);
    assert(same, `${what}: ${name}`);
  }
}

async function inFolder<T>(
  scenario: Scenario,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = Deno.makeTempDirSync();
  try {
    await scenario.prepare(folder);
    return await work(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
