/**
 * Workers, the library and the server load signatures of kernels only, never
 * their references or test cases.
 */
import { assert, assertEquals } from "@std/assert";
import { loadedModules } from "../loaded_modules.ts";

for (
  const entry of [
    "src/execute/worker.ts",
    "src/mod.ts",
    "src/server/mod.ts",
    "src/cli/main.ts",
  ]
) {
  Deno.test(`${entry} loads no reference and no test case of a kernel`, async () => {
    const modules = await loadedModules(entry);
    assert(modules.some((m) => m.includes("/src/kernels/signatures/")));
    assertEquals(
      modules.filter((m) => /\/kernels\/(reference|cases)\//.test(m)),
      [],
    );
  });
}
