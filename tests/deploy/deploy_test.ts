/** The function for Deno Deploy under its conditions: no flags, SIGINT at the end. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { open } from "../../src/mod.ts";
import { post, start } from "../../tools/deploy.ts";

const read = (path: string) =>
  Deno.readFile(new URL(`../../models/photo-mini/${path}`, import.meta.url));

/** This Deno, and the one with long-term support that Deploy names, where CI has put it. */
const denos = { this: Deno.execPath(), LTS: Deno.env.get("MQUANT_DENO_LTS") };
if (!denos.LTS) {
  console.log("MQUANT_DENO_LTS names no Deno 2.5: Deploy is not tested on it.");
}

for (const [name, deno] of Object.entries(denos)) {
  Deno.test({
    name:
      `Deploy on ${name} Deno: captions, limits, memory, a whole answer after SIGINT`,
    ignore: !deno || Deno.build.os !== "linux",
    async fn() {
      const photo = await read("photos/cat.jpg");
      await using session = await open(
        await read("photo-mini.w4a8.safetensors"),
        { threads: 1 },
      );
      const { text: caption } = await session.caption(photo);
      await using running = await start(deno!);
      const { url } = running;
      const first = await post(url, photo);
      assertEquals([first.status, first.caption], [200, caption]);

      const bad = await post(url, new TextEncoder().encode("no picture"));
      assertEquals(bad.status, 400);
      assertMatch(bad.error!, /use JPEG, PNG or WebP$/);
      const large = await post(url, new Uint8Array(10_000_001));
      assertEquals(large.status, 413);
      const get = await fetch(url);
      assertMatch(await get.text(), /^POST a JPEG/);

      // Who comes when 17 are inside is sent away, nobody gets another's words.
      const all = await Promise.all(
        Array.from({ length: 24 }, () => post(url, photo)),
      );
      for (const { status, caption: said, error } of all) {
        if (status === 200) assertEquals(said, caption);
        else assertEquals([status, /waiting/.test(error!)], [503, true]);
      }
      assert(all.filter(({ status }) => status === 200).length >= 17);

      const peak = running.peak(); // Deploy's smallest limit is 512 MB
      assert(peak < 400, `${peak} MiB`);

      const last = post(url, photo);
      await new Promise((done) => setTimeout(done, 50));
      const { code, ms } = await running.interrupt();
      assertEquals(code, 0);
      assert(ms < 5000, `${ms} ms until it had ended`);
      assertEquals((await last).caption, caption);
    },
  });
}
