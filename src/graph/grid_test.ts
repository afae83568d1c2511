import { assertEquals } from "@std/assert";
import { buckets, resampleTable } from "./grid.ts";

Deno.test("buckets: where patches fall in a line of the table", () => {
  assertEquals(buckets(4, 8), [0, 0, 1, 1, 2, 2, 3, 3]);
  assertEquals(buckets(8, 3), [0, 2, 5]); // 0, 1/3, 2/3 in eighths
  // places on a bound, as torch 2.11 puts them
  assertEquals(buckets(12, 58)[29], 5);
  assertEquals([7, 14, 21, 28].map((i) => buckets(70, 49)[i]), [9, 19, 30, 40]);
  assertEquals(buckets(70, 70), Array.from({ length: 70 }, (_, i) => i));
});

/** Rows of one number each. */
function rows(
  interpolation: "bucket" | "axis_sum",
  table: number[],
  side: number,
): number[] {
  const out = new Array<number>(6).fill(0);
  resampleTable(
    table,
    { gridSize: side, interpolation },
    1,
    { rows: 2, cols: 3 },
    out,
  );
  return out;
}

Deno.test("resampleTable: the bucket's row, or a row for the column and one for the row", () => {
  // 2 × 3 patches in a table of 2 × 2: columns fall at 0, 1/3, 2/3
  assertEquals(rows("bucket", [1, 2, 3, 4], 2), [1, 1, 2, 3, 3, 4]);
  const axes = [1, 2, 3, 0, 10, 20, 30, 0]; // columns, then rows, of 4
  assertEquals(rows("axis_sum", axes, 4), [11, 12, 13, 21, 22, 23]);
});
