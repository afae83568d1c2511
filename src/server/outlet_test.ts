import { assertEquals, assertRejects } from "@std/assert";
import { backlog, type Outlet, outlet } from "./outlet.ts";

/** A body, its outlet, and how often its reader left. */
function body() {
  let out!: Outlet, left = 0;
  const stream = outlet((o) => out = o, () => left++);
  return { stream, out, left: () => left };
}

Deno.test("what is written is read, to the end", async () => {
  const { stream, out, left } = body();
  out.write("a");
  out.write("b");
  out.end();
  out.end();
  out.write("c");
  assertEquals([await new Response(stream).text(), left()], ["ab", 0]);
});

Deno.test("a body that fails breaks off once", async () => {
  const { stream, out } = body();
  out.write("a");
  out.fail(new Error("no"));
  out.fail(new Error("again"));
  out.end();
  await assertRejects(() => new Response(stream).text(), Error, "no");
});

Deno.test("a reader that leaves harms nobody", async () => {
  const { stream, out, left } = body();
  out.write("a");
  await stream.cancel();
  out.write("b");
  out.end();
  out.fail(new Error("no"));
  assertEquals(left(), 1);
});

Deno.test("a stream that is closed within a write is no failure", () => {
  // What Deno's server does when the connection breaks in that moment.
  const { enqueue, close } = ReadableStreamDefaultController.prototype;
  ReadableStreamDefaultController.prototype.enqueue = function (chunk) {
    enqueue.call(this, chunk);
    close.call(this);
  };
  try {
    const { out } = body();
    out.write("a");
    out.write("b");
    out.end();
  } finally {
    ReadableStreamDefaultController.prototype.enqueue = enqueue;
  }
});

Deno.test("unread output is limited; beyond the limit the slowest reader is disconnected", async () => {
  const untaken = backlog(1000);
  const made = () => {
    let out!: Outlet, left = 0;
    const stream = outlet((o) => out = o, () => left++, untaken);
    return { stream, out, left: () => left };
  };
  const slow = made(), quick = made();
  slow.out.write("a".repeat(700));
  quick.out.write("b".repeat(200));
  assertEquals(untaken.bytes, 900);
  quick.out.write("c".repeat(200));
  assertEquals([slow.left(), quick.left(), untaken.bytes], [1, 0, 400]);
  quick.out.end();
  assertEquals((await new Response(quick.stream).text()).length, 400);
  await assertRejects(() => new Response(slow.stream).text(), Error, "slow");
  slow.out.write("more");
  assertEquals(untaken.bytes, 0);
  const gone = made();
  gone.out.write("d".repeat(500));
  await gone.stream.cancel();
  const failed = made();
  failed.out.write("e".repeat(500));
  failed.out.fail(new Error("no"));
  await assertRejects(() => new Response(failed.stream).text(), Error, "no");
  assertEquals(untaken.bytes, 0);
});
