/** A short search in every test run; docs/reliability.md has a long one. */
import { assert } from "@std/assert";
import { search } from "./search.ts";
import { MOST, WORST } from "./targets.ts";

/** Pictures have a search of their own: tests/hostile/bombs_test.ts. */
const TEXTS = WORST.filter(({ name }) => !/png|jpeg|webp/.test(name));

for (const target of TEXTS) {
  Deno.test(`the worst of 10 inputs grown to cost much: ${target.name}`, async () => {
    const { kinds } = await search(target, 1, 10);
    for (const { cost: { ms, mb }, input } of Object.values(kinds)) {
      const what = `${Math.round(ms)} ms, ${Math.round(mb)} MB: ${
        input.slice(0, 300)
      }`;
      assert(ms < 2 * MOST.ms, what); // on a busy machine
      assert(mb < MOST.mb, what);
    }
  });
}

Deno.test("the search finds what costs much, where something does", async () => {
  const { kinds } = await search(
    {
      name: "square",
      seeds: [new TextEncoder().encode("xy")],
      words: ["x"],
      mostBytes: 1000,
      run(bytes) {
        const n = bytes.filter((b) => b === 120).length;
        let x = 0;
        for (let i = 0; i < 50 * n * n; i++) x ^= i;
        return x;
      },
    },
    1,
    100,
  );
  assert(kinds.time.cost.ms > 10, `${kinds.time.cost.ms} ms`);
});
