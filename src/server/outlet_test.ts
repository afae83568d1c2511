import { assertEquals, assertRejects } from "@std/assert";
import { type Outlet, outlet } from "./outlet.ts";

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
