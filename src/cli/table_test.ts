import { assertEquals } from "@std/assert";
import { duration } from "./progress.ts";
import { bytes, count, table } from "./table.ts";

Deno.test("numbers stand right, words left", () => {
  assertEquals(
    table([["name", "bytes"], ["a", "1 B"], ["long name", "20.0 kB"]]),
    "name         bytes\na              1 B\nlong name  20.0 kB\n",
  );
  assertEquals(table([]), "");
});

Deno.test("counts, bytes and durations in words", () => {
  assertEquals([count(1, "file"), count(0, "file")], ["1 file", "0 files"]);
  assertEquals([bytes(999), bytes(18_400_000)], ["999 B", "18.4 MB"]);
  assertEquals([duration(48), duration(185), duration(7800)], [
    "48 s",
    "3 min 05 s",
    "2 h 10 min",
  ]);
});
