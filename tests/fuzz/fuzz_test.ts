/**
 * A short fuzzing run in every test run; `.ci/run` does a longer one,
 * docs/reliability.md has the longest.
 */
import { assert, assertEquals } from "@std/assert";
import { attack, inputOf } from "./attack.ts";
import { TARGETS } from "./targets.ts";

for (const target of TARGETS) {
  const count = target.rarity ? 100 : 2000;
  Deno.test(`${count} damaged inputs: ${target.name}`, async () => {
    for (const seed of target.seeds) await target.read(seed); // all are good
    const tally = await attack(target, 1, 0, count);
    assertEquals(tally.findings, []);
    assert(tally.read > 0, "some are still read");
    if (target.errors.length > 0) assert(tally.read < count, "some are not");
  });
}

Deno.test("an input depends on nothing but target, seed and number", async () => {
  const [target] = TARGETS;
  assertEquals(inputOf(target, 7, 123), inputOf(target, 7, 123));
  const [all, one, two] = await Promise.all([
    attack(target, 3, 0, 100),
    attack(target, 3, 0, 50),
    attack(target, 3, 50, 100),
  ]);
  assertEquals(all.read, one.read + two.read);
});

Deno.test("the harness sees what it is there to see", async () => {
  const bad = (read: () => void) =>
    attack(
      {
        name: "bad",
        seeds: [new Uint8Array(9)],
        errors: [],
        mutate: (_, s) => s.slice(),
        read,
      },
      1,
      0,
      1,
    ).then((t) => t.findings.map((f) => f.what).join());
  assert((await bad(() => null!["x"])).includes("TypeError"));
  assert(
    (await bad(() => void new Float32Array(2 ** 25))).includes("allocated"),
  );
  assert((await bad(() => {
    const end = performance.now() + 120;
    while (performance.now() < end);
  })).includes("took"));
});
