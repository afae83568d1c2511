/**
 * A document's transcripts, typed as a newcomer would: in a checkout that is not
 * written to.
 * @module
 */
import { assertEquals } from "@std/assert";
import { ROOT } from "../hostile_cli/run.ts";
import { comparable, transcript, type, type Typed } from "./console.ts";

/** How mquant is installed; the tour explains it. */
const INSTALL: Typed = {
  command:
    "deno install --global --quiet --force --name mquant --allow-read --allow-write --import-map tools/imports.json src/cli/main.ts",
  says: [],
  loose: false,
};

/** What of the checkout documents read. */
const READ = [
  ...["src", "tools", "models", "examples", "README.md"],
  ...["deno.json", "deno.lock"],
];

/**
 * Types what `document` types and compares what it says; `then` looks at what is
 * left. `programs` are shell scripts by name that a machine may not have.
 */
export async function typeAll(
  document: URL,
  { programs = {}, then = () => {} }: {
    programs?: Readonly<Record<string, string>>;
    then?: (folder: string) => Promise<void> | void;
  } = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of READ) {
      await Deno.symlink(`${ROOT}${name}`, `${folder}/${name}`);
    }
    await Deno.mkdir(`${folder}/bin`);
    for (const [name, script] of Object.entries(programs)) {
      await Deno.writeTextFile(`${folder}/bin/${name}`, script, {
        mode: 0o755,
      });
    }
    const typed = [INSTALL, ...transcript(await Deno.readTextFile(document))];
    const said = await type(typed, {
      cwd: folder,
      env: {
        NO_COLOR: "1",
        DENO_INSTALL_ROOT: folder,
        PATH: `${folder}/bin:${Deno.env.get("PATH")}`,
      },
    });
    for (const [i, { command, says, loose }] of typed.entries()) {
      const plain = (lines: readonly string[]) =>
        lines.map((line) => comparable(line, loose));
      assertEquals(plain(said[i]), plain(says), command);
    }
    await then(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
