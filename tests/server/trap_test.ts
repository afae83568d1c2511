/**
 * A trap in a kernel fails one request; the model is loaded again and gives the same
 * answers.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Pool } from "../../src/execute/pool.ts";
import { open } from "../../src/mod.ts";
import { REGISTER } from "../../src/plan/step.ts";
import { handler } from "../../src/server/mod.ts";
import { toy } from "../agreement/toy_file.ts";
import { ask, say } from "./fake.ts";

const { run } = Pool.prototype;

/** The next run of `list` reads far beyond its memory, on every thread. */
function trapOnce(list: string) {
  Pool.prototype.run = function (name, to, registers, signal) {
    if (name !== list) return run.call(this, name, to, registers, signal);
    Pool.prototype.run = run;
    const wrong = registers.slice();
    wrong[REGISTER.slot] = 0x3fffffff;
    wrong[REGISTER.keys] = 0x3fffffff;
    return run.call(this, name, to, wrong, signal);
  };
}

for (const threads of [1, 2]) {
  Deno.test(`a trap fails its request only, on ${threads} threads`, async () => {
    const { bytes } = toy();
    await using session = await open(bytes, { threads });
    const errors: unknown[] = [];
    const handle = handler(session, { onError: (e) => errors.push(e) });
    const request = { max_tokens: 12, temperature: 1, seed: 5 };
    const answer = async () => {
      const response = await handle(ask(say("what is it?", request)));
      assertEquals(response.status, 200);
      return (await response.json()).choices[0].message.content;
    };
    const want = await answer();
    for (const list of ["prefill", "decode"]) {
      trapOnce(list);
      const hit = handle(ask(say("what is it?", request)));
      const waiting = answer(); // stood in the queue while the model broke
      const response = await hit;
      if (list === "prefill") {
        // The head is out once the images are read: here that is before.
        assert(response.status === 500 || response.status === 200);
      }
      const body = await response.text().catch(() => "broken off");
      assert(/broken off|internal_error/.test(body), body);
      assert(!/memory access|wasm/.test(body), body);
      assertEquals(await waiting, want, list);
      assertEquals(await answer(), want, list);
    }
    assertEquals(errors.length, 2);
    assert(bytes.length > 0); // held until here: the model is loaded from them again
  });
}

Deno.test("another file in its place is not taken for the same model", async () => {
  const folder = Deno.makeTempDirSync(), path = `${folder}/toy.safetensors`;
  try {
    const { bytes } = toy();
    Deno.writeFileSync(path, bytes);
    await using session = await open(path, { threads: 1 });
    await session.ask("hi", [], { maxTokens: 2 });
    Deno.copyFileSync(
      new URL(
        "../../models/photo-mini/photo-mini.w4a8.safetensors",
        import.meta.url,
      ),
      path,
    );
    trapOnce("prefill");
    await assertRejects(() => Promise.resolve(session.ask("hi")), Error);
    await assertRejects(
      () => Promise.resolve(session.ask("hi")),
      Error,
      "another one now; open it again",
    );
    Deno.writeFileSync(path, bytes);
    await session.ask("hi", [], { maxTokens: 2 });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
