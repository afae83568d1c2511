/**
 * A clone of the repository in which documents' commands run without effect on the
 * original. Its ports differ, so that they are free.
 * @module
 */
import { dirname } from "@std/path";
import { existsSync } from "node:fs";
import { ROOT } from "../hostile_cli/run.ts";
import { freePort } from "../free_port.ts";

/** Files that name a port. */
const WITH_PORTS = ["deno.json", "src/cli/serve.ts", "tools/browser.ts"];
const PORTS = /\b(8000|8080|8123)\b/g;

/** A clone. */
export interface Clone extends Disposable {
  /** Its folder. */
  readonly folder: string;
  /** `text` with the ports of the documents replaced by the clone's. */
  here(text: string): string;
}

/** Makes one; `programs` are shell scripts, by name, that a machine may not have. */
export function clone(
  programs: Readonly<Record<string, string>> = {},
): Clone {
  const folder = Deno.makeTempDirSync(), ports = new Map<string, string>();
  const here = (text: string) =>
    text.replaceAll(PORTS, (port) => {
      if (!ports.has(port)) ports.set(port, `${freePort()}`);
      return ports.get(port)!;
    });
  for (const name of files()) {
    Deno.mkdirSync(dirname(`${folder}/${name}`), { recursive: true });
    if (WITH_PORTS.includes(name)) {
      const text = here(Deno.readTextFileSync(ROOT + name));
      Deno.writeTextFileSync(`${folder}/${name}`, text);
    } else Deno.copyFileSync(ROOT + name, `${folder}/${name}`);
  }
  Deno.mkdirSync(`${folder}/bin`);
  for (const [name, script] of Object.entries(programs)) {
    Deno.writeTextFileSync(`${folder}/bin/${name}`, script, { mode: 0o755 });
  }
  return {
    folder,
    here,
    [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }),
  };
}

/** All files of the repository, but the float model, which no document reads. */
function files(): string[] {
  const { success, stdout, stderr } = new Deno.Command("git", {
    args: ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    cwd: ROOT,
  }).outputSync();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success) throw new Error(`Cannot list the repository: ${text(stderr)}`);
  return text(stdout).split("\0").filter((name) =>
    name !== "" && !/^(tests|models\/checkpoints)\//.test(name) &&
    existsSync(ROOT + name) // one that is deleted is still listed
  );
}
