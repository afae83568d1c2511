/** Memory of requests: bounded for each request, and for all that wait. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { handler, LIMITS } from "../../src/server/mod.ts";
import { ask, fake, say, until } from "./fake.ts";

const codeOf = async (r: Response) => (await r.json()).error.code;
const mb = () => Deno.memoryUsage().rss / 2 ** 20;

Deno.test("a field that nobody reads holds no memory: values are counted", async () => {
  const handle = handler(fake({ held: true }));
  const filling = `[${Array(6_600_000).fill("{}").join(",")}]`;
  const body = JSON.stringify(say("hi")).replace(
    "}]}",
    `}],"metadata":${filling}}`,
  );
  assert(body.length > 19_000_000 && body.length < LIMITS.bodyBytes);
  const before = mb();
  for (let i = 0; i < 14; i++) {
    const response = await handle(ask(body));
    assertEquals([response.status, await codeOf(response)], [
      400,
      "invalid_json",
    ]);
  }
  assert(mb() - before < 512, `${mb() - before} MB`); // once 11 GB
});

Deno.test("values are allowed up to the limit", async () => {
  const handle = handler(fake(), { limits: { jsonValues: 20 } });
  const own = 5; // request, messages, message, role, content
  const of = (n: number) =>
    handle(ask(say("hi", { metadata: Array(n - own - 1).fill(1) })));
  assertEquals((await of(20)).status, 200);
  const beyond = await of(21);
  assertEquals(beyond.status, 400);
  assertMatch((await beyond.json()).error.message, /more than 20 values/);
});

Deno.test("a key twice is refused: which of them would count?", async () => {
  const handle = handler(fake());
  const body = '{"messages":[{"role":"user","content":"a","content":"b"}]}';
  const response = await handle(ask(body));
  assertEquals(response.status, 400);
  assertMatch((await response.json()).error.message, /"content" twice/);
});

Deno.test("the bodies of all requests inside are bounded together, and make room when they leave", async () => {
  const session = fake({ held: true });
  const limits = { heldBytes: 1_000_000, queue: 16 };
  const handle = handler(session, { limits });
  const padded = (bytes: number) =>
    ask(JSON.stringify(say("hi")).padEnd(bytes));
  const first = handle(padded(600_000));
  await until(() => session.running() === 1, "the first runs");
  const second = await handle(padded(600_000));
  assertEquals([second.status, await codeOf(second)], [503, "queue_full"]);
  assert(Number(second.headers.get("retry-after")) > 0);
  const third = handle(padded(400_000));
  await new Promise((done) => setTimeout(done, 10));
  const text = await (await handle(new Request("http://localhost/metrics")))
    .text();
  assertMatch(text, /mquant_held_bytes 1000000\n/);
  session.open();
  for (const answer of [first, third]) {
    assertEquals((await answer).status, 200);
    await (await answer).text();
  }
  const last = await handle(padded(1_000_000));
  assertEquals(last.status, 200);
  await last.text();
});

Deno.test("a body without a length is counted while it comes", async () => {
  const handle = handler(fake(), { limits: { heldBytes: 100_000 } });
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(c) {
      sent += 10_000;
      c.enqueue(new Uint8Array(10_000).fill(32));
      if (sent >= 10_000_000) c.close();
    },
  });
  const response = await handle(
    new Request("http://localhost/v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    }),
  );
  assertEquals([response.status, await codeOf(response)], [503, "queue_full"]);
  assert(sent < 300_000, `${sent}`);
});

Deno.test("a length that makes no sense is none", async () => {
  const handle = handler(fake());
  for (const length of ["-5", "1.5", "1e3", "x", ""]) {
    const response = await handle(ask(say("hi"), { "content-length": length }));
    assertEquals(response.status, 200, length);
    await response.text();
  }
});

Deno.test("slow bodies do not block others: the slowest one gives up its place", async () => {
  const session = fake();
  const limits = { queue: 1, slowBodyMs: 30, bodyMs: 5000, heldBytes: 1000 };
  const handle = handler(session, { limits });
  const slow = (length = 500) =>
    handle(
      new Request("http://localhost/v1/chat/completions", {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "content-length": `${length}`,
        },
        body: new ReadableStream({
          start: (c) => c.enqueue(new Uint8Array(1).fill(32)),
        }),
      }),
    );
  const first = slow(), second = slow();
  const full = await handle(ask(say("hi")));
  assertEquals([full.status, await codeOf(full)], [503, "queue_full"]);
  await new Promise((go) => setTimeout(go, 50));
  const answer = await handle(ask(say("hi")));
  assertEquals(answer.status, 200);
  await answer.text();
  assertEquals([(await first).status, await codeOf(await first)], [
    408,
    "body_timeout",
  ]);
  // Room for bytes is given up the same way; what is read already is not.
  const third = slow();
  await new Promise((go) => setTimeout(go, 50));
  const large = await handle(ask(JSON.stringify(say("hi")).padEnd(900)));
  assertEquals(large.status, 200);
  await large.text();
  assertEquals((await second).status, 408);
  assertEquals((await third).status, 408);
});
