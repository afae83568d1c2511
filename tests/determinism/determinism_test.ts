/**
 * The determinism guarantee: the same bits from every kernel build, any number of
 * threads, every run, Deno 2.5 LTS and the current version, x86-64 and arm64. Other
 * Deno versions are tested where the environment names them: MQUANT_DENO_LTS, and
 * MQUANT_DENO_ARM64 with Debian's qemu-user-static and libc6-arm64-cross.
 */
import { assert, assertEquals } from "@std/assert";
import { KERNEL_NAMES } from "../../src/kernels/signatures/mod.ts";
import { toy } from "../agreement/toy_file.ts";
import { ROOT } from "../hostile_cli/run.ts";

const QEMU = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"];
const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const MODEL = `${folder}/toy.safetensors`;
const CASES = `${folder}/cases`; // made by the first who needs them, run by all
Deno.writeFileSync(MODEL, toy().bytes);

/** Lines that a tool prints. */
async function printed(
  [program, ...before]: readonly string[],
  tool: string,
  ...options: string[]
): Promise<string[]> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [
      ...before,
      ...["run", "--no-check", "--quiet", "--allow-read"],
      ...[`--allow-write=${folder}`, `tools/${tool}`],
      ...options,
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = (b: Uint8Array) => new TextDecoder().decode(b).trim();
  assert(success, text(stderr));
  return text(stdout).split("\n");
}

/** The hashes that tools/logits.ts prints, all that differ. */
async function hashes(
  command: readonly string[],
  ...options: string[]
): Promise<{ hashes: Set<string>; lines: string[] }> {
  const lines = await printed(command, "logits.ts", MODEL, ...options);
  return {
    lines,
    hashes: new Set(lines.flatMap((line) => line.split(": ")[1].split(" "))),
  };
}

const here = () => hashes([Deno.execPath()], "--threads=1", "--builds=simd");

Deno.test("builds and threads: the same bits", async () => {
  const all = await hashes([Deno.execPath()]);
  assertEquals(all.lines.length, 6); // 2 builds × 1, 2, 3 threads
  assertEquals(all.hashes.size, 1, all.lines.join("\n"));
});

Deno.test("1000 runs: the same bits", async () => {
  const many = await hashes(
    [Deno.execPath()],
    "--threads=1",
    "--builds=simd",
    "--runs=1000",
  );
  assert(many.lines[0].includes("1000 runs"), many.lines[0]);
  assertEquals(many.hashes, (await here()).hashes);
});

/** Compares another Deno, where there is one. */
function other(what: string, variable: string, before: readonly string[]) {
  const deno = Deno.env.get(variable);
  Deno.test({
    name: deno
      ? `${what}: the same bits`
      : `${what}: skipped, ${variable} names none`,
    ignore: deno === undefined,
    async fn() {
      const there = await hashes([...before, deno!], "--threads=1");
      assertEquals(there.hashes, (await here()).hashes);
    },
  });
}

/** Each kernel and the hashes of what its implementations leave behind, on small cases. */
async function kernels(command: readonly string[]): Promise<string[]> {
  const lines = await printed(command, "kernel_hashes.ts", CASES);
  return lines.map((line) => line.replace(/, \d+ implementations/, ""));
}

Deno.test("kernels: all implementations leave the same bytes", async () => {
  const lines = await kernels([Deno.execPath()]);
  const names = lines.map((line) => line.split(":")[0]);
  assertEquals(names, KERNEL_NAMES.filter((name) => name !== "barrier"));
  for (const line of lines) assertEquals(line.split(" ").length, 2, line);
});

const arm64 = Deno.env.get("MQUANT_DENO_ARM64");
Deno.test({
  name: arm64
    ? "arm64: the same bytes from every kernel"
    : "arm64, kernels: skipped, MQUANT_DENO_ARM64 names none",
  ignore: arm64 === undefined,
  async fn() {
    assertEquals(
      await kernels([...QEMU, arm64!]),
      await kernels([Deno.execPath()]),
    );
  },
});

other("another Deno", "MQUANT_DENO_LTS", []);
other("arm64", "MQUANT_DENO_ARM64", QEMU);
