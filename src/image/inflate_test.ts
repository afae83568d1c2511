/** Inflating beside zlib: the same bytes, and the same refusals. */
import { assert, assertEquals } from "@std/assert";
import { constants, deflateSync, inflateSync } from "node:zlib";
import { random, uniform } from "../tensor/random.ts";
import { inflate } from "./inflate.ts";

function inflated(pieces: readonly Uint8Array[], size: number) {
  const out = new Uint8Array(size), work = inflate(pieces, out);
  let step = work.next();
  while (!step.done) step = work.next();
  return { out, how: step.value };
}

/** Bytes that compress in one way or another. */
function bytes(draw: (n: number) => number, size: number): Uint8Array {
  const data = new Uint8Array(size), kind = draw(4);
  for (let i = 0; i < size; i++) {
    data[i] = kind === 0
      ? draw(256)
      : kind === 1
      ? draw(4)
      : kind === 2 && i > 40 && draw(10) > 0
      ? data[i - 1 - draw(40)]
      : kind === 2
      ? draw(256)
      : 7;
  }
  return data;
}

/** What zlib makes of it; undefined where it refuses. */
function byZlib(packed: Uint8Array, size: number): Uint8Array | undefined {
  try {
    return new Uint8Array(inflateSync(packed, { maxOutputLength: size + 1 }));
  } catch {
    return undefined;
  }
}

Deno.test("inflates what zlib deflates, refuses what zlib refuses", () => {
  const next = random(7), draw = (n: number) => Math.floor(uniform(next) * n);
  const { Z_DEFAULT_STRATEGY, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED } = constants;
  let refused = 0, tried = 0;
  for (let i = 0; i < 300; i++) {
    const size = draw(i % 20 === 0 ? 400_000 : 3000), data = bytes(draw, size);
    const packed = new Uint8Array(deflateSync(data, {
      level: draw(10),
      strategy: [Z_DEFAULT_STRATEGY, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED][draw(4)],
      windowBits: 9 + draw(7),
    }));
    const cut = draw(packed.length);
    const { out, how } = inflated(
      [packed.subarray(0, cut), packed.subarray(cut)],
      size,
    );
    assertEquals(how, "whole");
    assertEquals(out, data);
    for (let k = 0; k < 4; k++, tried++) {
      const bad = packed.slice(0, k === 0 ? draw(packed.length) : undefined);
      for (let j = 0; j < k && bad.length > 0; j++) {
        bad[draw(bad.length)] ^= 1 << draw(8);
      }
      const want = byZlib(bad, size), got = inflated([bad], size);
      const good = want?.length === size;
      assertEquals(got.how === "whole", good, `input ${i}, ${k}`);
      if (good) assertEquals(got.out, want);
      else refused++;
      if (k === 0) assert(got.how !== "whole");
    }
  }
  assert(refused > tried / 2, `${refused} of ${tried}`);
});

Deno.test("what ends early is short, what makes more than is wanted is damaged", () => {
  const data = Uint8Array.from({ length: 500 }, (_, i) => i * i);
  const packed = new Uint8Array(deflateSync(data));
  assertEquals(inflated([packed], 500).how, "whole");
  assertEquals(inflated([packed], 501).how, "short");
  assertEquals(inflated([packed], 499).how, "damaged");
  for (let n = 0; n < packed.length - 4; n++) {
    const { how } = inflated([packed.subarray(0, n)], 500);
    assertEquals(how, n > packed.length - 8 ? how : "short", `${n} bytes`);
    assert(how !== "whole");
  }
  const more = new Uint8Array(packed.length + 1);
  more.set(packed);
  assertEquals(inflated([more], 500).how, "whole"); // Pillow reads it, too
});
