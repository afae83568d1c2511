import { assertEquals } from "@std/assert";
import { chunkOrder } from "./order.ts";

const I = 9; // the image token
const cases: [string, number[]][] = [
  ["no image", [1, 2, 3]],
  ["one image inside", [1, I, I, I, 2, 3]],
  ["image first", [I, I, 1, 2]],
  ["image last", [1, 2, I, I]],
  ["two images", [1, I, I, 2, I, 3]],
  ["adjacent images", [I, I, I, I, 1]],
  ["one token", [1]],
  ["only images", [I, I]],
];

Deno.test("image rows come first, each modality in original order, last is the last", () => {
  for (const [name, ids] of cases) {
    const { original, imageRows, last } = chunkOrder(ids, I);
    assertEquals(
      [...original].sort((a, b) => a - b),
      ids.map((_, i) => i),
      name,
    );
    assertEquals(original[last], ids.length - 1, name);
    for (const [row, from] of original.entries()) {
      assertEquals(ids[from] === I, row < imageRows, name);
      if (row > 0 && row !== imageRows) {
        assertEquals(original[row - 1] < from, true, name);
      }
    }
  }
});

Deno.test("the mask by positions is the closed form for one image", () => {
  // image at m..n: i<V: j≤i or V≤j<V+m; V≤i<V+m: V≤j≤i; else j≤i
  for (const [m, v, rest] of [[0, 2, 3], [2, 3, 4], [1, 1, 1], [4, 2, 0]]) {
    const ids = [
      ...Array(m).fill(1),
      ...Array(v).fill(I),
      ...Array(rest).fill(2),
    ];
    const { original } = chunkOrder(ids, I);
    for (let i = 0; i < ids.length; i++) {
      for (let j = 0; j < ids.length; j++) {
        const closed = i < v
          ? j <= i || v <= j && j < v + m
          : i < v + m
          ? v <= j && j <= i
          : j <= i;
        assertEquals(
          original[j] <= original[i],
          closed,
          `${m} ${v} ${rest}: ${i} sees ${j}`,
        );
      }
    }
  }
});
