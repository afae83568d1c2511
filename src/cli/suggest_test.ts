import { assertEquals } from "@std/assert";
import { distance, nearest } from "./suggest.ts";

Deno.test("a swap of neighbours is one edit", () => {
  assertEquals(distance("caption", "captoin"), 1);
  assertEquals(distance("", "abc"), 3);
  assertEquals(distance("kitten", "sitting"), 3);
});

Deno.test("only what is near is meant", () => {
  const known = ["caption", "quantize", "show"];
  assertEquals(nearest("captoin", known), "caption");
  assertEquals(nearest("quant", known), "quantize");
  assertEquals(nearest("sohw", known), "show");
  assertEquals(nearest("frobnicate", known), undefined);
  assertEquals(nearest("x".repeat(1e6), known), undefined);
});
