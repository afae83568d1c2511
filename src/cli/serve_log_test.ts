/** A log whose reader writes, fails, stalls, comes back. */
import { assert, assertEquals } from "@std/assert";
import { LOG_LIMITS, serveLog } from "./serve_log.ts";

const decoder = new TextDecoder();

Deno.test("lines are written in order, whole, however little is taken at a time", async () => {
  let text = "";
  const log = serveLog((bytes) => {
    text += decoder.decode(bytes.subarray(0, 3));
    return Promise.resolve(Math.min(3, bytes.length));
  });
  for (let i = 0; i < 250; i++) log.line(`line ${i}`);
  await log.flush(1000);
  assertEquals(
    text,
    Array.from({ length: 250 }, (_, i) => `line ${i}\n`).join(""),
  );
  assertEquals(log.lost, 0);
});

Deno.test("a place that fails loses lines, counts them, and is told when it is back", async () => {
  let fails = true, text = "";
  const log = serveLog((bytes) => {
    if (fails) return Promise.reject(new Error("No space left on device"));
    text += decoder.decode(bytes);
    return Promise.resolve(bytes.length);
  });
  for (let i = 0; i < 5; i++) log.line("x");
  await log.flush(1000);
  assertEquals(log.lost, 5);
  fails = false;
  log.line("back");
  await log.flush(1000);
  assertEquals(text, "back\n(5 lines of this log were lost)\n");
  log.line("again");
  await log.flush(1000);
  assertEquals(text.split("\n").at(-2), "again");
});

Deno.test("a reader that stalls holds nobody up, and no more than so many lines", async () => {
  const log = serveLog(() => new Promise(() => {}));
  const begun = performance.now();
  for (let i = 0; i < 100_000; i++) log.line("x".repeat(5000));
  assert(performance.now() - begun < 2000);
  assert(log.lost >= 100_000 - LOG_LIMITS.lines - 200);
  const flushed = performance.now();
  await log.flush(50);
  assert(performance.now() - flushed < 1000);
});
