/**
 * Workers, the library and the server load signatures of kernels only, never
 * their references or test cases.
 */
import { assert, assertEquals } from "@std/assert";
import { ROOT } from "../hostile_cli/run.ts";

/** Modules that a module loads, itself included, as paths from the root. */
async function loaded(entry: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    cwd: ROOT,
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: { specifier: string }[];
  };
  return modules.map((m) => m.specifier).filter((s) => s.startsWith("file:"));
}

for (
  const entry of [
    "src/execute/worker.ts",
    "src/mod.ts",
    "src/server/mod.ts",
    "src/cli/main.ts",
  ]
) {
  Deno.test(`${entry} loads no reference and no test case of a kernel`, async () => {
    const modules = await loaded(entry);
    assert(modules.some((m) => m.includes("/src/kernels/signatures/")));
    assertEquals(
      modules.filter((m) => /\/kernels\/(reference|cases)\//.test(m)),
      [],
    );
  });
}
