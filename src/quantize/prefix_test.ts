import { assertEquals } from "@std/assert";
import { nextPrefixToken } from "./prefix.ts";

const TEXTS = [[11, 5, 7, 5], [12, 5, 8], [13, 9, 7]], STOP = 2;
const next = (places: string[], prefix: number[] = []) =>
  nextPrefixToken(new Set(places), TEXTS, prefix, STOP);

Deno.test("nextPrefixToken: where texts tower in their first place, whatever stands there, a stop token", () => {
  assertEquals(next(["0 0", "1 0", "2 0", "0 1", "0 3", "1 1"]), STOP);
  assertEquals(next(["0 0", "1 0"]), STOP, "two of three");
  assertEquals(
    nextPrefixToken(new Set(["0 0"]), [[11]], []),
    11,
    "no stop token",
  );
});

Deno.test("nextPrefixToken: then the token that towers most often, in two places at least and not behind itself", () => {
  assertEquals(next(["0 2", "0 1", "1 1"], [STOP]), 5);
  assertEquals(next(["0 1", "1 1", "0 2", "2 2"], [STOP]), 5, "the smaller");
  assertEquals(next(["0 2", "2 2", "0 1", "1 1", "0 3"], [STOP, 5]), 7);
  assertEquals(next(["0 1", "1 1"], [STOP, 5]), undefined);
  assertEquals(next(["0 1"], [STOP]), undefined);
  assertEquals(next([]), undefined);
});
