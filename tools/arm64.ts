/**
 * Checks that arm64 gives the same bits as this machine: runs tools/kernel_hashes.ts
 * (every implementation of every kernel, on the cases of at most 192 KiB) and
 * tools/logits.ts here and under an arm64 Deno in qemu's user mode, and compares
 * the hashes.
 *
 *     apt-get install qemu-user-static libc6-arm64-cross libgcc-s1-arm64-cross
 *     npm pack @deno/linux-arm64-glibc@2.9.5 && tar xzf deno-linux-arm64-glibc-2.9.5.tgz
 *     deno run --allow-read --allow-write --allow-run tools/arm64.ts package/deno MODEL
 *
 * @module
 */

const PREFIX = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"];

/** Lines that a script prints when `command` runs it. */
async function lines(
  [program, ...before]: readonly string[],
  script: string,
  ...args: readonly string[]
): Promise<string[]> {
  const path = new URL(script, import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [
      ...before,
      "run",
      "--no-check",
      "--allow-read",
      "--allow-write",
      path,
      ...args,
    ],
  }).output();
  if (code !== 0) {
    throw new Error(
      `Cannot run ${script} by ${program}: ${new TextDecoder().decode(stderr)}`,
    );
  }
  const text = new TextDecoder().decode(stdout).trim();
  console.log(text);
  return text.split("\n");
}

/** Hashes of a model's logits that `command` makes, one per build. */
const ofModel = async (command: readonly string[], model: string) =>
  (await lines(command, "logits.ts", model, "--threads", "1"))
    .map((line) => line.split(": ")[1]);

/** Kernels and the hashes of all their implementations there. */
const ofKernels = async (command: readonly string[], cases: string) =>
  (await lines(command, "kernel_hashes.ts", cases))
    .map((line) => line.replace(/, \d+ implementations/, ""));

if (import.meta.main) {
  const [deno, model] = Deno.args;
  if (!deno || !model) {
    console.error(
      "Cannot compare: give the arm64 Deno and a model file, as in tools/arm64.ts ARM64_DENO MODEL",
    );
    Deno.exit(2);
  }
  const here = [Deno.execPath()], there = [...PREFIX, deno];
  const cases = `${Deno.makeTempDirSync()}/cases`; // made here, run here and there
  const kernels = await ofKernels(here, cases);
  const hashes = await ofModel(here, model);
  const equal = kernels.every((line) => line.split(" ").length === 2) &&
    kernels.join() === (await ofKernels(there, cases)).join() &&
    hashes.every((h) => h === hashes[0]) &&
    hashes.join() === (await ofModel(there, model)).join();
  console.log(equal ? "equal bits" : "the bits differ");
  Deno.exit(equal ? 0 : 1);
}
