import { assert, assertEquals } from "@std/assert";
import { isLoopback, originGuard } from "./guard.ts";

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

Deno.test("another scheme is another origin", () => {
  const { check } = originGuard();
  const may = (
    url: string,
    origin: string,
    headers: Record<string, string> = {},
  ) => {
    try {
      check(new Request(url, { headers: { origin, ...headers } }));
      return true;
    } catch {
      return false;
    }
  };
  assert(may("http://localhost:8080/", "http://localhost:8080"));
  assert(!may("http://localhost:8080/", "https://localhost:8080"));
  assert(!may("http://localhost:8080/", "ftp://localhost:8080"));
  assert(!may("http://localhost:8080/", "http://localhost:8080/x"));
  // Behind a proxy that speaks https for us.
  assert(may("http://photos.example/", "https://photos.example"));
  const https = { "x-forwarded-proto": "https" };
  assert(may("http://photos.example/", "https://photos.example", https));
  assert(!may("http://photos.example/", "http://photos.example", https));
  assert(!may("https://photos.example/", "http://photos.example"));
});
