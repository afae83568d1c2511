/** A short search in every test run; docs/reliability.md has a long one. */
import { assert } from "@std/assert";
import { search } from "./search.ts";
import { MOST, WORST } from "./targets.ts";

/** Pictures have a search of their own: tests/hostile/bombs_test.ts. */
const TEXTS = WORST.filter(({ name }) => !/png|jpeg|webp/.test(name));

for (const target of TEXTS) {
  Deno.test(`the worst of 20 inputs grown to cost much: ${target.name}`, async () => {
    const { kinds } = await search(target, 1, 20);
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
        const end = performance.now() + n * n / 20_000;
        while (performance.now() < end);
      },
    },
    1,
    200,
  );
  assert(kinds.time.cost.ms > 20, `${kinds.time.cost.ms} ms`);
});
