/**
 * The modules that an entry point loads.
 * @module
 */
import { ROOT } from "./hostile_cli/run.ts";

/** URLs of the local modules that `entry` loads, itself included. */
export async function loadedModules(entry: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    cwd: ROOT,
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: { specifier: string }[];
  };
  return modules.map((m) => m.specifier).filter((s) => s.startsWith("file:"));
}
