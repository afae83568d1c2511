import { assertEquals, assertRejects } from "@std/assert";
import { lines, LONGEST_LINE } from "./lines.ts";

const bytes = (...parts: (string | number[])[]) =>
  ReadableStream.from(
    parts.map((p) =>
      typeof p === "string" ? new TextEncoder().encode(p) : Uint8Array.from(p)
    ),
  );

Deno.test("lines, wherever the bytes are cut", async () => {
  const of = (...parts: (string | number[])[]) =>
    Array.fromAsync(lines(bytes(...parts)));
  assertEquals(await of(), []);
  assertEquals(await of("a\nb\r\n\nc"), ["a", "b", "", "c"]);
  assertEquals(await of("a", "b\nc", "\n"), ["ab", "c"]);
  assertEquals(await of([0xc3], [0xa4, 10]), ["ä"]);
});

Deno.test("a line that does not end is refused", async () => {
  await assertRejects(
    () => Array.fromAsync(lines(bytes("x".repeat(LONGEST_LINE + 1)))),
    RangeError,
    "check that the input is text",
  );
});
