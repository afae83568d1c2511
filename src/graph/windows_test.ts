import { assertEquals } from "@std/assert";
import { maxWindows, windowsOf } from "./windows.ts";

Deno.test("windowsOf: window by window, token by token, smaller at the right and at the bottom", () => {
  // 4 × 6 patches, tokens of 2 × 2, windows of 4 × 4: the second has 4 × 2.
  const { order, sizes } = windowsOf({ rows: 4, cols: 6 }, 4, 2);
  assertEquals(sizes, [16, 8]);
  assertEquals([...order], [
    ...[0, 1, 6, 7, 2, 3, 8, 9],
    ...[12, 13, 18, 19, 14, 15, 20, 21],
    ...[4, 5, 10, 11, 16, 17, 22, 23],
  ]);
});

Deno.test("maxWindows: no picture of so many patches has more", () => {
  for (const patches of [4, 24, 64, 256]) {
    const most = maxWindows(patches, 4, 2);
    for (let rows = 2; rows <= patches; rows += 2) {
      const cols = Math.floor(patches / rows / 2) * 2;
      if (cols === 0) continue;
      const { sizes } = windowsOf({ rows, cols }, 4, 2);
      assertEquals(sizes.length <= most, true, `${rows} × ${cols}`);
    }
  }
});
