/** Runs the commands of the recipes and checks their results. */
import { assertStringIncludes } from "@std/assert";
import { typeAll } from "./checkout.ts";

const RECIPES = new URL("../../docs/recipes/", import.meta.url);

/** Stands in for a camera: the photo of a cat, to stdout or into a file. */
const CAMERA = `#!/bin/sh
while [ "$1" != --output ]; do shift; done
[ "$2" = - ] && exec cat models/photo-mini/photos/cat.jpg
exec cp models/photo-mini/photos/cat.jpg "$2"
`;

for (const { name } of Deno.readDirSync(RECIPES)) {
  Deno.test({
    name: `recipe ${name} prints what it shows`,
    ignore: Deno.build.os === "windows",
    async fn() {
      const recipe = new URL(name, RECIPES);
      assertStringIncludes(await Deno.readTextFile(recipe), "```console\n");
      await typeAll(recipe, { programs: { "rpicam-still": CAMERA } });
    },
  });
}
