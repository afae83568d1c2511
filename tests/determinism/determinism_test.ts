/**
 * The contract: the same bits from every build of the kernels, any number of
 * threads, every run, Deno 2.5 LTS and the current one, x86-64 and arm64.
 * Another Deno is tested where the environment names one: MQUANT_DENO_LTS, and
 * MQUANT_DENO_ARM64 with Debian's qemu-user-static and libc6-arm64-cross.
 */
import { assert, assertEquals } from "@std/assert";
import { toy } from "../agreement/toy_file.ts";
import { ROOT } from "../hostile_cli/run.ts";

const QEMU = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"];
const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const MODEL = `${folder}/toy.safetensors`;
Deno.writeFileSync(MODEL, toy().bytes);

/** The hashes that tools/logits.ts prints, all that differ. */
async function hashes(
  [program, ...before]: readonly string[],
  ...options: string[]
): Promise<{ hashes: Set<string>; lines: string[] }> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [
      ...before,
      ...["run", "--no-check", "--quiet", "--allow-read", "tools/logits.ts"],
      ...[MODEL, ...options],
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = (b: Uint8Array) => new TextDecoder().decode(b).trim();
  assert(success, text(stderr));
  const lines = text(stdout).split("\n");
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

other("another Deno", "MQUANT_DENO_LTS", []);
other("arm64", "MQUANT_DENO_ARM64", QEMU);
