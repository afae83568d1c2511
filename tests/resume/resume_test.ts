/**
 * Quantization resumes after a kill and ends with the same bytes: killed at named
 * points of writing, at random moments, and by Ctrl-C.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ROOT } from "../hostile_cli/run.ts";

/** The command as a user gives it; or, with an event, as `victim.ts` runs it. */
function start(out: string, trap?: readonly [string, number]) {
  const command = trap
    ? ["tests/resume/victim.ts", out, trap[0], `${trap[1]}`]
    : [
      "src/cli/main.ts",
      "quantize",
      "tests/golden/smolvlm-toy",
      "--calibration=models/photo-mini/photos",
      "--samples=2",
      `--out=${out}`,
    ];
  return new Deno.Command("deno", {
    args: ["run", "--quiet", "--allow-all", ...command],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

/** Runs it to the end; returns the file's bytes and what stood on stderr. */
async function finish(out: string) {
  const { code, stderr } = await start(out).output();
  const err = new TextDecoder().decode(stderr);
  assertEquals(code, 0, err);
  const names = [...Deno.readDirSync(out.slice(0, out.lastIndexOf("/")))];
  assertEquals(names.filter((e) => /part|tmp/.test(e.name)), []);
  return { bytes: Deno.readFileSync(out), err };
}

const folder = () => Deno.makeTempDirSync();

Deno.test("quantize killed in the midst of writing ends with the same bytes", async () => {
  const place = folder();
  try {
    const { bytes: want, err } = await finish(`${place}/whole.safetensors`);
    assertMatch(err, /^\S+whole\.safetensors: [\d.]+ kB, \d+ s\n$/);
    const out = `${place}/killed.safetensors`;
    const traps: [string, number][] = [
      ["torn-write", 1], // the file's first bytes
      ["before-write", 3], // its key without a digest
      ["torn-write", 14], // an array of a record
      ["after-sync", 9],
      ["after-write", 41], // whole, but not yet synced
      ["before-sync", 25],
      ["torn-write", 60],
    ];
    for (const trap of traps) {
      const { signal, stderr } = await start(out, trap).output();
      assertEquals(signal, "SIGKILL", new TextDecoder().decode(stderr));
      assert(!exists(out), "the file is there before it is whole");
      assert(exists(`${out}.part`));
    }
    const { bytes, err: resumed } = await finish(out);
    assertMatch(resumed, /^going on with \S+killed\.safetensors\.part\n/);
    assertEquals(bytes, want);
  } finally {
    Deno.removeSync(place, { recursive: true });
  }
});

Deno.test("quantize stopped at any moment, by kill or Ctrl-C, ends with the same bytes", async () => {
  const place = folder();
  try {
    const { bytes: want } = await finish(`${place}/whole.safetensors`);
    const out = `${place}/stopped.safetensors`;
    for (const how of ["SIGINT", "SIGKILL", "SIGKILL"] as const) {
      const child = start(out);
      await new Promise((go) => setTimeout(go, 300 + Math.random() * 900));
      try {
        child.kill(how);
      } catch { /* it was faster */ }
      const { signal } = await child.output();
      if (signal === null) Deno.removeSync(out);
      else assertEquals(signal, how);
      assert(!exists(out));
    }
    assertEquals((await finish(out)).bytes, want);
  } finally {
    Deno.removeSync(place, { recursive: true });
  }
});

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
