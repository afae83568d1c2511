import { assertEquals } from "@std/assert";
import { isLoopback } from "./guard.ts";

Deno.test("which addresses only this machine reaches", () => {
  for (const own of ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"]) {
    assertEquals(isLoopback(own), true, own);
  }
  for (
    const other of [
      "0.0.0.0",
      "::",
      "",
      "192.168.1.2",
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "1127.0.0.1",
      "127.1",
      "LOCALHOST.",
    ]
  ) assertEquals(isLoopback(other), false, other);
});
