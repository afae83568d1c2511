/**
 * Runs a document's transcripts in a clone, as a new user would.
 * @module
 */
import { assertEquals } from "@std/assert";
import { clone } from "./clone.ts";
import { comparable, transcript, type, type Typed } from "./console.ts";

/** How mquant is installed; the tour explains it. */
const INSTALL: Typed = {
  command:
    "deno install --global --quiet --force --name mquant --allow-read --allow-write --import-map tools/imports.json src/cli/main.ts",
  says: [],
  loose: false,
};

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
  using made = clone(programs);
  const { folder, here } = made;
  const text = here(await Deno.readTextFile(document));
  const typed = [INSTALL, ...transcript(text)];
  const said = await type(typed.map(({ command }) => command), {
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
    assertEquals(plain(said[i].lines), plain(says), command);
  }
  await then(folder);
}
