/** Every hostile file is answered with the error its name says, soon and by nothing else. */
import { assert, assertEquals } from "@std/assert";
import { codeOf, objection } from "../fuzz/target.ts";
import { CASES, fileName, FILES, readerOf } from "./corpus.ts";

const MOST_MS = 1000; // on a busy machine; the fuzzer is stricter

for (const folder of Deno.readDirSync(FILES)) {
  Deno.test(`hostile files: ${folder.name}`, async () => {
    const reader = readerOf(folder.name);
    for (
      const { name } of Deno.readDirSync(new URL(`${folder.name}/`, FILES))
    ) {
      const path = new URL(`${folder.name}/${encodeURIComponent(name)}`, FILES);
      const [code] = name.split("--"), begin = performance.now();
      let error: unknown;
      try {
        await reader.read(Deno.readFileSync(path));
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

Deno.test("the files made by hand are what their cases say, at least 120 in all", () => {
  let count = 0;
  for (const [reader, cases] of Object.entries(CASES)) {
    for (const case_ of cases) {
      const name = encodeURIComponent(fileName(case_));
      const bytes = Deno.readFileSync(new URL(`${reader}/${name}`, FILES));
      assert(Buffer.equals(bytes, case_[2]), `${reader}/${fileName(case_)}`);
      count++;
    }
  }
  assert(count >= 120, `${count}`);
});

const Buffer = {
  equals: (a: Uint8Array, b: Uint8Array) =>
    a.length === b.length && a.every((byte, i) => byte === b[i]),
};
