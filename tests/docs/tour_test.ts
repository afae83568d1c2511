/** docs/tour.md, typed as a newcomer would, in a checkout that is not written to. */
import { assertEquals } from "@std/assert";
import { open } from "../../src/mod.ts";
import { bundledModel, ROOT } from "../hostile_cli/run.ts";
import { comparable, transcript, type } from "./console.ts";

const TOUR = new URL("../../docs/tour.md", import.meta.url);

Deno.test({
  name: "the tour says what it says",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      for (const name of ["src", "tools", "models", "deno.json", "deno.lock"]) {
        await Deno.symlink(`${ROOT}${name}`, `${folder}/${name}`);
      }
      const typed = transcript(await Deno.readTextFile(TOUR));
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
      await captionsAreRight(`${folder}/photos`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** What three runs left in sidecars is what the model says of each photo. */
async function captionsAreRight(folder: string) {
  await using session = await open(bundledModel()!);
  for (let i = 5; i <= 200; i += 13) {
    const name = `${folder}/photo-${String(i).padStart(4, "0")}`;
    const { text } = await session.caption(await Deno.readFile(`${name}.png`));
    assertEquals(await Deno.readTextFile(`${name}.txt`), `${text}\n`);
  }
}
