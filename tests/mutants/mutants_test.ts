/** Every seeded bug applies: its text occurs exactly once in its file. */
import { assertEquals } from "@std/assert";
import { MUTANTS } from "./mutants.ts";

Deno.test("the text of every seeded bug occurs once in its file", async () => {
  const stale: string[] = [];
  for (const { what, file, from } of MUTANTS) {
    const source = await Deno.readTextFile(file);
    if (source.split(from).length !== 2) stale.push(`${file}: ${what}`);
  }
  assertEquals(stale, []);
});
