/** `doctor`: its report is correct, and it fails where nothing can run. */
import { assertEquals, assertMatch } from "@std/assert";
import { bestBuild } from "../../src/kernels/load.ts";
import { toy } from "../agreement/toy_file.ts";
import { spawn } from "./run.ts";

const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const model = `${folder}/toy.safetensors`;
Deno.writeFileSync(model, toy().bytes);

async function doctor(
  args: string[],
  flags: string[] = ["--allow-read"],
) {
  const all = ["doctor", `--model=${model}`, "--threads=1", ...args];
  const { code, stdout, stderr } = await spawn(all, "null", flags).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assertEquals(text(stderr), "");
  return { code, out: text(stdout) };
}

const found = (out: string) =>
  JSON.parse(out) as
    & { ok: boolean }
    & Record<
      string,
      { is: string; advice?: string }
    >;

Deno.test("doctor tells this machine, this Deno, and what a caption takes", async () => {
  const { code, out } = await doctor(["--json"], [
    "--allow-read",
    "--allow-sys=systemMemoryInfo",
  ]);
  assertEquals(code, 0, out);
  const said = found(out);
  assertEquals(said.ok, true);
  const { deno, v8 } = Deno.version, cpus = navigator.hardwareConcurrency;
  assertEquals(said.Deno.is, `${deno}, V8 ${v8}, ${Deno.build.target}`);
  assertEquals(said.SIMD, { is: "yes" });
  assertMatch(said["relaxed SIMD"].is, RegExp(`kernels ${bestBuild()}`));
  assertMatch(
    said.threads.is,
    RegExp(`^${Math.min(cpus, 4)} of ${cpus} CPUs`),
  );
  assertMatch(said.memory.is, /^[\d.]+ [MGT]B of [\d.]+ [MGT]B available$/);
  assertMatch(said.model.is, /^\S+ w4a8, [\d.]+ [kM]B, ready in [\d.]+ ms$/);
  assertMatch(
    said.speed.is,
    /^a caption in \d+\.\d\d s: image \d+ ms, prompt \d+ ms, [\d.]+ ms per token$/,
  );
});

Deno.test("doctor says what is missing: flags, a model", async () => {
  const plain = await doctor([]);
  assertEquals(plain.code, 0);
  assertMatch(plain.out, /^memory +not known without --allow-sys/m);
  const lost = await doctor(["--json", `--model=${folder}/no.safetensors`]);
  assertEquals([lost.code, found(lost.out).ok], [1, false]);
  assertMatch(found(lost.out).model.is, /"no\.safetensors".*check the path/);
  const blind = await doctor([], []);
  assertEquals(blind.code, 1);
  assertMatch(blind.out, /^threads +1 of \d+ CPUs$/m);
  assertMatch(blind.out, /^threads: .*--allow-read$/m);
  assertMatch(blind.out, /^model .*run again with --allow-read$/m);
});
