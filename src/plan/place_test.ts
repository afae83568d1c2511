import { assert, assertEquals } from "@std/assert";
import { random, uniform } from "../tensor/random.ts";
import type { Buffer } from "./buffer.ts";
import { ALIGNMENT, placeByLifetime, placeInOrder } from "./place.ts";

const buffer = (bytes: number, first: number, last: number): Buffer => ({
  name: "b",
  region: "arena",
  bytes,
  at: -1,
  first,
  last,
});

Deno.test("buffers that live at the same time never overlap", () => {
  const next = random(3), draw = (n: number) => Math.floor(uniform(next) * n);
  for (let round = 0; round < 50; round++) {
    const all = Array.from({ length: 30 }, () => {
      const first = draw(40);
      return buffer(1 + draw(1000), first, first + draw(10));
    });
    const end = placeByLifetime(all, 128);
    for (const a of all) {
      assert(a.at >= 128 && a.at % ALIGNMENT === 0 && a.at + a.bytes <= end);
      for (const b of all) {
        const together = a.first <= b.last && b.first <= a.last;
        const apart = a.at + a.bytes <= b.at || b.at + b.bytes <= a.at;
        assert(a === b || !together || apart);
      }
    }
  }
});

Deno.test("buffers that follow each other share memory; unused ones take none", () => {
  const chain = [0, 1, 2, 3, 4].map((i) => buffer(640, i, i + 1));
  assertEquals(
    placeByLifetime([...chain, buffer(1e9, Infinity, -1)], 0),
    2 * 640,
  );
  assertEquals(placeInOrder(chain, 64), 64 + 5 * 640);
});
