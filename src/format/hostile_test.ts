/** Files at the edge of the rules; those beyond it are in tests/hostile. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { random, uniform } from "../tensor/random.ts";
import { FormatError } from "./error.ts";
import { openSafetensors } from "./safetensors.ts";
import { bytesSource } from "./source.ts";
import { file, t } from "../../tests/hostile/cases/safetensors.ts";

/** Whole numbers below n, from a seed. */
function draw(seed: number): (n: number) => number {
  const next = random(seed);
  return (n) => Math.floor(uniform(next) * n);
}

const open = (bytes: Uint8Array) => openSafetensors(bytesSource(bytes, "x"));

const VALID = file(
  `{"__metadata__":{"format":"pt"},"a":${t("2,2", 0, 16)},"b":${
    t("3", 16, 19, "U8")
  }}`,
  19,
);

Deno.test("what is merely unusual is read", () => {
  assertEquals(open(file("{}")).tensors.size, 0);
  assertEquals(open(file("{}   \n")).tensors.size, 0);
  const zero = `{"a":${t("1", 0, 4)},"z":${t("0", 4, 4)},"y":${
    t("2,0", 0, 0)
  }}`;
  assertEquals(open(file(zero, 4)).tensors.size, 3);
  assertEquals([...open(file(`{"a":${t("", 0, 4)}}`, 4)).tensor("a").read()], [
    0,
  ]);
  const edge = `{"${"n".repeat(256)}":${t("1,1,1,1,1,1,1,1", 0, 4)}}`;
  assertEquals(open(file(edge, 4)).tensors.size, 1);
});

Deno.test("a model cut at any byte is refused", () => {
  assertEquals(open(VALID).tensors.size, 2);
  for (let n = 0; n < VALID.length; n++) {
    assertThrows(() => open(VALID.slice(0, n)), FormatError);
  }
});

Deno.test("mutated files are read or refused, never anything else", () => {
  const below = draw(7);
  let refused = 0;
  const rounds = 20_000;
  for (let i = 0; i < rounds; i++) {
    const bytes = VALID.slice();
    for (let k = 0, n = 1 + below(3); k < n; k++) {
      bytes[below(bytes.length)] = below(256);
    }
    try {
      for (const tensor of open(bytes).tensors.values()) tensor.read();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      refused++;
    }
  }
  assert(refused > rounds / 2 && refused < rounds);
});
