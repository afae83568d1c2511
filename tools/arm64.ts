/**
 * Proves that arm64 gives the bits of this machine: runs tools/logits.ts here
 * and under an arm64 Deno in qemu's user mode, and compares the hashes.
 *
 *     apt-get install qemu-user-static libc6-arm64-cross libgcc-s1-arm64-cross
 *     npm pack @deno/linux-arm64-glibc@2.9.5 && tar xzf deno-linux-arm64-glibc-2.9.5.tgz
 *     deno run --allow-read --allow-run tools/arm64.ts package/deno MODEL
 *
 * @module
 */

const PREFIX = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"];

/** Hashes that `command` prints for the model, one per build. */
async function hashes(command: string[], model: string): Promise<string[]> {
  const script = new URL("logits.ts", import.meta.url).pathname;
  const [program, ...rest] = command;
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [
      ...rest,
      "run",
      "--no-check",
      "--allow-read",
      script,
      model,
      "--threads",
      "1",
    ],
  }).output();
  if (code !== 0) {
    throw new Error(
      `Cannot run ${command.join(" ")}: ${new TextDecoder().decode(stderr)}`,
    );
  }
  const text = new TextDecoder().decode(stdout);
  console.log(text.trim());
  return text.trim().split("\n").map((line) => line.split(": ")[1]);
}

if (import.meta.main) {
  const [deno, model] = Deno.args;
  if (!deno || !model) {
    console.error(
      "Cannot compare: give the arm64 Deno and a model file, as in tools/arm64.ts ARM64_DENO MODEL",
    );
    Deno.exit(2);
  }
  const here = await hashes([Deno.execPath()], model);
  const there = await hashes([...PREFIX, deno], model);
  const equal = here.every((h) => h === here[0]) &&
    here.join() === there.join();
  console.log(equal ? "equal bits" : "the bits differ");
  Deno.exit(equal ? 0 : 1);
}
