import { assertEquals } from "@std/assert";
import { stopScanner } from "./stop.ts";

function run(stops: string[], pieces: string[]): [string[], boolean] {
  const s = stopScanner(stops);
  return [[...pieces.map((p) => s.push(p)), s.end()], s.stopped];
}

Deno.test("text that may begin a stop text is held back until it is clear", () => {
  assertEquals(run(["END"], ["a", "E", "N", "x"]), [
    ["a", "", "", "ENx", ""],
    false,
  ]);
  assertEquals(run(["END"], ["aE", "ND tail", "more"]), [
    ["a", "", "", ""],
    true,
  ]);
  assertEquals(run(["END"], ["aEN"]), [["a", "EN"], false]);
  assertEquals(run(["aab"], ["aa", "aab"]), [["", "aa", ""], true]);
});

Deno.test("the first of several stop texts ends the text; none passes all", () => {
  assertEquals(run(["yy", "x"], ["1xyy"]), [["1", ""], true]);
  assertEquals(run([], ["a", "b"]), [["a", "b", ""], false]);
});
