/**
 * The bundled model: the same tokens with any number of threads and either build, and
 * a profile that accounts for all of its time.
 */
import { assert, assertEquals } from "@std/assert";
import { open } from "../../src/mod.ts";

const folder = new URL("../../models/photo-mini/", import.meta.url);
const model = [...Deno.readDirSync(folder)].map((e) => e.name)
  .find((name) => name.endsWith(".safetensors"));
if (!model) console.log("skipped: no model is bundled in models/photo-mini");

Deno.test({
  name:
    "bundled model: every number of threads and both builds give the same caption",
  ignore: !model,
  async fn() {
    const photo = await Deno.readFile(new URL("photos/cat.jpg", folder));
    const answers: string[] = [];
    for (const build of ["simd", "relaxed"] as const) {
      for (const threads of [1, 2]) {
        await using session = await open(new URL(model!, folder), {
          threads,
          build,
        });
        const { tokens, finish, timings } = await session.caption(photo);
        assertEquals(finish, "stop");
        assert(tokens.length > 3 && timings.visionMs > 0);
        answers.push(`${tokens}`);
      }
    }
    assertEquals(new Set(answers).size, 1, answers.join("\n"));
  },
});

Deno.test({
  name: "bundled model: an abort is heard within 200 ms at any time",
  ignore: !model,
  async fn() {
    const photo = await Deno.readFile(new URL("photos/cat.jpg", folder));
    await using session = await open(new URL(model!, folder));
    await session.caption(photo);
    for (const after of [5, 25, 45, 65, 85, 105]) {
      const stop = new AbortController();
      let at = 0;
      const timer = setTimeout(() => {
        at = performance.now();
        stop.abort();
      }, after);
      const { finish } = await session.caption(photo, { signal: stop.signal });
      clearTimeout(timer);
      if (finish === "aborted") {
        assert(performance.now() - at < 200, `after ${after} ms`);
      }
    }
  },
});
