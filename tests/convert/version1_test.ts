/**
 * Model files of version 1: refused by `open` with a working instruction, and
 * converted without their checkpoint.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { convertFile, convertGraph } from "../../src/convert/version1.ts";
import { FormatError } from "../../src/format/error.ts";
import { RuntimeError } from "../../src/graph/error.ts";
import { ROOT, spawn } from "../hostile_cli/run.ts";
import { native, version1 } from "./version1.ts";

const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const OLD = `${folder}/old.safetensors`, NEW = `${folder}/new.safetensors`;

/** Converts `bytes`; NEW is removed before. */
async function convert(bytes: Uint8Array) {
  Deno.writeFileSync(OLD, bytes);
  await Deno.remove(NEW).catch(() => {});
  return await convertFile(OLD, NEW);
}

/** Converts `bytes` in vain; nothing may be left behind. */
async function refusal(bytes: Uint8Array): Promise<FormatError | RuntimeError> {
  const error = await assertRejects(() => convert(bytes));
  assert(error instanceof FormatError || error instanceof RuntimeError);
  assertEquals([...Deno.readDirSync(folder)].map((e) => e.name), [
    "old.safetensors",
  ]);
  return error;
}

/** `mquant convert ARGS` as a process. */
async function command(...args: string[]) {
  const flags = ["--allow-read", "--allow-write"];
  const output = await spawn(["convert", ...args], "null", flags).output();
  const text = (b: Uint8Array) => new TextDecoder().decode(b);
  return { code: output.code, err: text(output.stderr) };
}

Deno.test("convert: a file of version 1 becomes the file that this version writes, byte for byte", async () => {
  const old = version1();
  assertEquals(await convert(old), { tensors: 34, renamed: 2 });
  assertEquals(Deno.readFileSync(NEW), native());
  assertEquals(Deno.readFileSync(OLD), old);
});

Deno.test("convertGraph: every op, field and value that had another name", () => {
  const old = [
    { op: "patches", id: "a", phase: "vision", width: 12, extra: 1 },
    { op: "table", param: "w", width: 4, rows: 2 },
    { op: "table", param: "w", width: 4, side: 3, by: "buckets" },
    { op: "table", param: "axes", width: 4, side: 3, by: "axes" },
    { op: "table", param: "w", width: 4, side: 3, by: "area" },
    { op: "embed", param: "w", width: 4 },
    { op: "linear", x: "a", weight: "w", bias: "b", split: true, rows: "text" },
    { op: "write", stream: "s", x: "a", rows: "vision", part: [0, 4] },
    { op: "read", stream: "s", norm: "layer", gain: "g", bias: "b" },
    { op: "peek", stream: "s", width: 4 },
    {
      ...{ op: "attend", q: "q", k: "k", v: "v", mask: "full", theta: 1e4 },
      ...{ stretch: 8, reach: 9, rotary: 4, window: 2, grid: true },
      ...{ sections: [2, 1, 1], interleaved: true },
    },
    {
      ...{ op: "convolve", x: "x", before: "a", behind: "b" },
      ...{ taps: 3, param: "w", bias: "c" },
    },
    { op: "act", fn: "silu", x: "x", gate: "g" },
    { op: "rotate", x: "x", rotation: { n: 4 }, inverse: true },
    { op: "gain", x: "x", param: "w" },
    { op: "headnorm", x: "x", headDim: 8, param: "w" },
    { op: "shuffle", x: "x", factor: 2 },
    { op: "join", xs: ["a", "b"] },
    { op: "stack", xs: ["a", "b"] },
    { op: "take", x: "x", count: 2 },
    { op: "last", x: "x" },
  ];
  assertEquals(convertGraph(old, "test"), [
    { op: "patch_input", id: "a", phase: "vision", width: 12, extraRows: 1 },
    { op: "learned_embedding", weight: "w", width: 4, rows: 2 },
    {
      ...{ op: "learned_embedding", weight: "w", width: 4 },
      ...{ gridSize: 3, interpolation: "bucket" },
    },
    {
      ...{ op: "learned_embedding", weight: "axes", width: 4 },
      ...{ gridSize: 3, interpolation: "axis_sum" },
    },
    {
      ...{ op: "learned_embedding", weight: "w", width: 4 },
      ...{ gridSize: 3, interpolation: "bilinear_antialias" },
    },
    { op: "embedding", weight: "w", width: 4 },
    {
      ...{ op: "linear", x: "a", weight: "w", bias: "b" },
      ...{ floatChannel0: true, modality: "text" },
    },
    {
      ...{ op: "residual_add", stream: "s", x: "a" },
      ...{ modality: "vision", columns: [0, 4] },
    },
    { op: "norm", stream: "s", kind: "layer", weight: "g", bias: "b" },
    { op: "residual_read", stream: "s", width: 4 },
    {
      ...{ op: "attention", q: "q", k: "k", v: "v", mask: "full" },
      ...{ ropeTheta: 1e4, ropeScalingFactor: 8, slidingWindow: 9 },
      ...{ rotaryDim: 4, windowSize: 2, rope2d: true },
      ...{ mropeSection: [2, 1, 1], mropeInterleaved: true },
    },
    {
      ...{ op: "causal_conv1d", x: "x", inputGate: "a", outputGate: "b" },
      ...{ kernelSize: 3, weight: "w", bias: "c" },
    },
    { op: "activation", fn: "silu", x: "x", gate: "g" },
    { op: "hadamard", x: "x", rotation: { n: 4 }, inverse: true },
    { op: "channel_scale", x: "x", weight: "w" },
    { op: "qk_norm", x: "x", headDim: 8, weight: "w" },
    { op: "pixel_shuffle", x: "x", factor: 2 },
    { op: "concat_features", xs: ["a", "b"] },
    { op: "concat_rows", xs: ["a", "b"] },
    { op: "slice_rows", x: "x", count: 2 },
    { op: "last_row", x: "x" },
  ]);
});

Deno.test("convert: damaged and foreign files are refused, and nothing is written", async () => {
  const old = version1();
  const flipped = old.slice();
  flipped[flipped.length - 1] ^= 1;
  assertEquals((await refusal(flipped)).code, "checksum");
  assertEquals((await refusal(old.slice(0, -1))).code, "truncated");
  assertEquals((await refusal(native())).code, "version");
  const of = (change: Record<string, string>) => refusal(version1(change));
  assertEquals((await of({ format: "mquant/3" })).code, "version");
  assertEquals((await of({ format: "pt" })).code, "not_mquant");
  for (
    const [graph, says] of [
      ["{}", "not a list"],
      ["[", "JSON"],
      ['[{"op":"norm"}]', 'node 0 of its graph has the op "norm"'],
      ["[null]", "node 0"],
      ['[{"op":"constructor"}]', "constructor"],
    ]
  ) {
    const { code, message } = await of({ graph });
    assertEquals(code, "metadata");
    assert(message.includes(says), message);
  }
  for (const info of ["null", "7", ""]) {
    assertEquals((await of({ info })).code, "metadata");
  }
  for (const info of ["{}", "[]", '{"image":null}', '{"image":"x"}']) {
    assertEquals((await of({ info })).code, "info");
  }
  assertEquals((await of({ bits: "{}" })).code, "bits");
});

Deno.test("mquant convert: never overwrites unasked, nor itself", async () => {
  const bytes = version1();
  Deno.writeFileSync(OLD, bytes);
  Deno.writeTextFileSync(NEW, "mine");
  const there = await command(OLD, NEW);
  assertEquals(there.code, 2);
  assertMatch(there.err, /^Cannot convert .* exists; .*--force.*\n$/);
  assertEquals(Deno.readTextFileSync(NEW), "mine");
  const link = `${folder}/link.safetensors`;
  Deno.symlinkSync(OLD, link);
  for (const same of [OLD, link, `${folder}/./old.safetensors`]) {
    const { code, err } = await command(OLD, same, "--force");
    assertEquals(code, 2);
    assertMatch(err, /^Cannot convert .* same file; .*\n$/);
  }
  assertMatch((await command(OLD, folder, "--force")).err, /not a file; /);
  assertEquals(Deno.readFileSync(OLD), bytes);
  const forced = await command(OLD, NEW, "--force");
  assertEquals(forced.code, 0, forced.err);
  assertEquals(Deno.readFileSync(NEW), native());
  Deno.removeSync(link);
});

Deno.test("the sentence that refuses a file of version 1 works as written", async () => {
  Deno.writeFileSync(OLD, version1());
  Deno.removeSync(NEW);
  const shown = await spawn(["show", "--plan", OLD]).output();
  assertEquals(shown.code, 1);
  const says = new TextDecoder().decode(shown.stderr);
  const [, task] = says.match(/run `deno task (.*?)`/) ?? [];
  assertEquals(task, "convert OLD NEW");
  const words = task.replace("OLD", OLD).replace("NEW", NEW).split(" ");
  const done = await new Deno.Command("deno", {
    args: ["task", ...words],
    cwd: ROOT,
  }).output();
  assertEquals(done.code, 0);
  assertEquals(Deno.readFileSync(NEW), native());
});
