import { assert, assertEquals } from "@std/assert";
import { open } from "../src/mod.ts";
import { randomModelFile } from "./random_checkpoint.ts";

Deno.test("a static file of random values at real size opens and answers, and is the same each time", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const paths = ["a", "b"].map((name) => `${folder}/${name}.safetensors`);
    for (const path of paths) randomModelFile("SmolLM2-135M", path);
    const [a, b] = paths.map((path) => Deno.readFileSync(path));
    assert(a.length > 80e6);
    assert(a.every((byte, i) => byte === b[i]));
    await using session = await open(paths[0], { threads: 1, context: 64 });
    const asked = session.chat([{ role: "user", content: "Hi" }], {
      maxTokens: 3,
    });
    assertEquals((await asked).tokens.length, 3);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
