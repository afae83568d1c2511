import { assertEquals } from "@std/assert";
import { Conversation } from "./conversation.ts";
import { chunkOrder } from "./order.ts";

const I = 9, ROWS = Float32Array.of(1, 2, 3, 4); // two image tokens, two wide
const IMAGE = {
  height: 2,
  width: 1,
  patchSize: 1,
  nativeResolution: true,
  tokens: 2,
  tokenId: I,
  text: "",
} as const;

/** A conversation whose tokens were taken in at once, and its cache order. */
function taken(ids: number[], then: number[] = []): [Conversation, Int32Array] {
  const c = new Conversation(IMAGE, 2), { original } = chunkOrder(ids, I);
  c.add([...ids, ...then]);
  c.addRows(ROWS);
  return [
    c,
    Int32Array.from([...original, ...then.map((_, i) => ids.length + i)]),
  ];
}

Deno.test("a cache in image-first order can be cut where the slots so far hold just the tokens so far", () => {
  const [c, order] = taken([5, I, I, 6, 7], [8, 4]);
  const common = (...ids: number[]) => c.commonPrefix(ids, ROWS, [], order);
  assertEquals(common(5, I, I, 6, 7, 8, 4, 3), 7, "all of it");
  assertEquals(common(5, I, I, 6, 7, 8, 3), 6, "up to the other token");
  assertEquals(
    common(5, I, I, 6, 3),
    4,
    "behind the image and what precedes it",
  );
  assertEquals(common(5, I, 6, 7, 8), 0, "the image stands before the 5");
  assertEquals(common(5, I, I, 6, 7), 4, "the last token is always new");
  assertEquals(common(4), 0);
});

Deno.test("text is cut anywhere; other image rows share nothing", () => {
  const text = new Conversation(IMAGE, 2);
  text.add([1, 2, 3]);
  assertEquals(
    text.commonPrefix([1, 2, 3, 4], ROWS, [], Int32Array.of(0, 1, 2)),
    3,
  );
  assertEquals(
    text.commonPrefix([1, 2, 4], ROWS, [], Int32Array.of(0, 1, 2)),
    2,
  );
  const [c, order] = taken([I, I, 6]);
  assertEquals(c.commonPrefix([I, I, 6, 7], ROWS, [], order), 3);
  const other = ROWS.slice();
  other[3]++;
  assertEquals(c.commonPrefix([I, I, 6, 7], other, [], order), 1);
});

Deno.test("the same rows of a picture of another shape share nothing", () => {
  const [c, order] = taken([I, I, 6]), grids = [{ rows: 1, cols: 2 }];
  assertEquals(c.commonPrefix([I, I, 6, 7], ROWS, grids, order), 0);
  c.grids = grids;
  assertEquals(c.commonPrefix([I, I, 6, 7], ROWS, grids, order), 3);
});

Deno.test("what is forgotten is gone, rows too", () => {
  const [c, order] = taken([I, I, 6]);
  c.truncate(1);
  assertEquals(c.ids, [I]);
  c.add([I]);
  c.addRows(Float32Array.of(3, 4));
  assertEquals(c.commonPrefix([I, I, 6], ROWS, [], order), 2);
});
