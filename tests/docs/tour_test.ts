/** docs/tour.md: its commands run and print what it shows. */
import { assertEquals } from "@std/assert";
import { open } from "../../src/mod.ts";
import { bundledModel } from "../hostile_cli/run.ts";
import { typeAll } from "./checkout.ts";

Deno.test({
  name: "the commands of the tour print what the tour shows",
  ignore: Deno.build.os === "windows",
  fn: () =>
    typeAll(new URL("../../docs/tour.md", import.meta.url), {
      then: (folder) => captionsAreRight(`${folder}/photos`),
    }),
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
