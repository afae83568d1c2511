/**
 * Work that is killed repeatedly, in its own folder, and must end as if it had not
 * been.
 * @module
 */
import { deflateSync } from "node:zlib";
import { toy } from "../agreement/toy_file.ts";
import { killAfter } from "../campaign/kill_after.ts";
import { filesOf } from "../faults/scenarios.ts";
import { pngChunk } from "../fuzz/chunks.ts";
import { drawOf, joined } from "../fuzz/mutate.ts";

/** One folder's life. */
export interface Life {
  /** What is done in it. */
  readonly kind: "quantize" | "points" | "caption";
  /** Which one of its kind. */
  readonly index: number;
  /** Seed of its moments. */
  readonly seed: number;
  /** Most kills. */
  readonly kills: number;
}

/** How a life went. */
export interface Lived {
  readonly kills: number;
  readonly findings: string[];
}

const PHOTOS = 1000;
const DENO = ["run", "--quiet", "--no-check", "--allow-all"];
const quantizeArgs = (out: string) => [
  ...["src/cli/main.ts", "quantize", "tests/golden/smolvlm-toy"],
  ...["--calibration=models/photo-mini/photos", "--samples=2"],
  ...["--threads=1", `--out=${out}`],
];

/** Where a kill is set, by `tests/resume/victim.ts`. */
const EVENTS = [
  "before-write",
  "torn-write",
  "after-write",
  "before-sync",
  "after-sync",
];

async function start(args: readonly string[], killMs = Infinity) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...DENO, ...args],
    stdout: "null",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const timer = killMs === Infinity ? undefined : killAfter(child, killMs);
  const { code, signal, stderr } = await child.output();
  clearTimeout(timer);
  return {
    code,
    killed: signal === "SIGKILL",
    err: new TextDecoder().decode(stderr),
  };
}

let whole: Promise<Uint8Array> | undefined;

/** The bytes that quantizing gives when nobody kills it. */
function wholeFile(): Promise<Uint8Array> {
  return whole ??= (async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const { code, err } = await start(quantizeArgs(`${folder}/out`));
      if (code !== 0) throw new Error(err);
      return Deno.readFileSync(`${folder}/out`);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  })();
}

/** Lives a life. */
export async function live(life: Life): Promise<Lived> {
  const folder = Deno.makeTempDirSync();
  try {
    return life.kind === "caption"
      ? await liveCaptioning(life, folder)
      : await liveQuantizing(life, folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Kills at random moments, or at the COUNT-th write or fsync of its unfinished work. */
async function liveQuantizing(life: Life, folder: string): Promise<Lived> {
  const out = `${folder}/out`, want = await wholeFile();
  const draw = drawOf(life.seed, life.kind, life.index),
    findings: string[] = [];
  let kills = 0;
  while (kills < life.kills) {
    const event = EVENTS[draw(EVENTS.length)];
    const trap = ["tests/resume/victim.ts", out, event, `${1 + draw(90)}`];
    const { killed, code, err } = life.kind === "points"
      ? await start(trap)
      : await start(quantizeArgs(out), 150 + draw(3000));
    if (killed) kills++;
    else if (code !== 0) findings.push(`exit code ${code}: ${err}`);
    if (exists(out) && !same(Deno.readFileSync(out), want)) {
      findings.push("the file is torn");
    }
    if (!killed) break; // it was done, or its point does not come again
  }
  const { code, err } = await start(quantizeArgs(out));
  if (code !== 0) findings.push(`exit code ${code}: ${err}`);
  else if (!same(Deno.readFileSync(out), want)) findings.push("other bytes");
  const left = [...filesOf(folder).keys()];
  if (left.join() !== "out") findings.push(`left behind: ${left}`);
  return { kills, findings };
}

/** Kills while a folder of a thousand pictures is captioned. */
async function liveCaptioning(life: Life, folder: string): Promise<Lived> {
  const model = `${folder}/toy.safetensors`, photos = `${folder}/photos`;
  Deno.writeFileSync(model, toy().bytes);
  Deno.mkdirSync(photos);
  for (let i = 0; i < PHOTOS; i++) {
    Deno.writeFileSync(
      `${photos}/${String(i).padStart(4, "0")}.png`,
      picture(i),
    );
  }
  const args = [
    ...["src/cli/main.ts", "caption", `--model=${model}`, "--threads=1"],
    ...["--max-tokens=4", "--sidecar=txt,json", photos],
  ];
  const draw = drawOf(life.seed, life.kind, life.index),
    findings: string[] = [];
  let kills = 0;
  while (kills < life.kills) {
    const { killed, code, err } = await start(args, 400 + draw(600));
    if (killed) kills++;
    else if (code !== 0) findings.push(`exit code ${code}: ${err}`);
    checkSidecars(photos, findings);
    if (!killed) break;
  }
  const { code, err } = await start(args);
  if (code !== 0) findings.push(`exit code ${code}: ${err.slice(-300)}`);
  checkSidecars(photos, findings);
  const files = filesOf(photos), noted = new Map<string, number>();
  for (const line of files.get("captions.jsonl")!.split("\n")) {
    const photo = /^\{"photo":"([^"]+)".*\}$/.exec(line)?.[1];
    if (photo) noted.set(photo, (noted.get(photo) ?? 0) + 1);
  }
  for (let i = 0; i < PHOTOS; i++) {
    const name = String(i).padStart(4, "0"), count = noted.get(`${name}.png`);
    if (count !== 1) findings.push(`${name} is noted ${count ?? 0} times`);
    for (const kind of ["txt", "json"]) {
      if (!files.has(`${name}.${kind}`)) {
        findings.push(`${name}.${kind} is lost`);
      }
    }
  }
  const extra = [...files.keys()].filter((n) =>
    !/^\d{4}\.(png|txt|json)$|^captions\.jsonl$/.test(n)
  );
  if (extra.length > 0) findings.push(`left behind: ${extra}`);
  return { kills, findings: findings.slice(0, 20) };
}

/** Sidecars that are there are whole. */
function checkSidecars(photos: string, findings: string[]) {
  for (const [name, text] of filesOf(photos)) {
    if (/^\d+\.txt$/.test(name) && !text.endsWith("\n")) {
      findings.push(`${name} is torn`);
    }
    if (!/^\d+\.json$/.test(name)) continue;
    try {
      JSON.parse(text);
    } catch {
      findings.push(`${name} is torn`);
    }
  }
}

/** A small PNG, another one for each number. */
function picture(i: number): Uint8Array {
  const rows = new Uint8Array(16 * (1 + 16 * 3));
  for (let k = 0; k < rows.length; k++) {
    rows[k] = k % 49 === 0 ? 0 : Math.imul(k + 1, i * 2654435761 + 97) >>> 16;
  }
  const chunk = (name: string, data: Uint8Array) =>
    pngChunk(joined(new TextEncoder().encode(name), data));
  return joined(
    Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10),
    chunk("IHDR", Uint8Array.of(0, 0, 0, 16, 0, 0, 0, 16, 8, 2, 0, 0, 0)),
    chunk("IDAT", new Uint8Array(deflateSync(rows))),
    chunk("IEND", new Uint8Array(0)),
  );
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
