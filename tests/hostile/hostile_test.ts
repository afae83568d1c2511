/** Every hostile input gets the error that its name says, quickly. */
import { assert, assertEquals } from "@std/assert";
import { codeOf, objection } from "../fuzz/target.ts";
import { hostileInputs, readerOf } from "./corpus.ts";

const MOST_MS = 1000; // on a busy machine; the fuzzer is stricter

const INPUTS = hostileInputs();

for (const [folder, inputs] of INPUTS) {
  Deno.test(`hostile files: ${folder}`, async () => {
    const reader = readerOf(folder);
    for (const { name, code, bytes } of inputs) {
      const begin = performance.now();
      let error: unknown;
      try {
        await reader.read(bytes);
      } catch (e) {
        error = e;
      }
      const ms = performance.now() - begin;
      assert(error !== undefined || code === "read", `${name} was read`);
      if (error === undefined) continue;
      const target = {
        name,
        seeds: [],
        mutate: () => new Uint8Array(),
        ...reader,
      };
      assertEquals(objection(target, error), undefined, name);
      assertEquals(codeOf(error), code, `${name}: ${(error as Error).message}`);
      assert(ms < MOST_MS, `${name} took ${ms} ms`);
    }
  });
}

Deno.test("there are at least 280 hostile inputs, each under a name of its own", () => {
  for (const [reader, inputs] of INPUTS) {
    const names = new Set(inputs.map((i) => i.name));
    assertEquals(names.size, inputs.length, reader);
  }
  const count = [...INPUTS.values()].reduce((sum, i) => sum + i.length, 0);
  assert(count >= 280, `${count}`);
});
