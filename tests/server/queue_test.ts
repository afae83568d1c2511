/** Waiting, running, leaving clients and shutdown. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { handler, listen, type LogEntry } from "../../src/server/mod.ts";
import { ending } from "../../src/server/lifecycle.ts";
import { ask, fake, say, until } from "./fake.ts";

const codeOf = async (r: Response) => (await r.json()).error.code;

Deno.test("first come, first served; the house is full beyond the queue", async () => {
  const session = fake({ held: true });
  const handle = handler(session, { limits: { queue: 2 } });
  const answers = [];
  for (let i = 0; i < 3; i++) {
    answers.push(handle(ask(say(`request ${i}`))));
    await new Promise((done) => setTimeout(done, 5));
  }
  const full = await handle(ask(say("one too many")));
  assertEquals([full.status, await codeOf(full)], [503, "queue_full"]);
  assert(Number(full.headers.get("retry-after")) > 0);
  const metrics = await (await handle(
    new Request("http://localhost/metrics"),
  )).text();
  assertMatch(metrics, /mquant_inside\{stage="waiting"\} 2\n/);
  assertMatch(metrics, /mquant_inside\{stage="running"\} 1\n/);
  session.open();
  for (const a of answers) assertEquals((await a).status, 200);
  assertEquals(session.begun, ["request 0", "request 1", "request 2"]);
  assertEquals((await handle(ask(say("again")))).status, 200);
});

Deno.test("a client that disconnects while waiting does not affect the others", async () => {
  for (const stream of [false, true]) {
    const session = fake({ held: true });
    const handle = handler(session, { limits: { queue: 2 } });
    const leave = new AbortController();
    const first = handle(ask(say("first", { stream })));
    await until(() => session.running() === 1, "first runs");
    const second = handle(ask(say("second", { stream }), {}, leave.signal));
    const third = handle(ask(say("third", { stream })));
    await new Promise((done) => setTimeout(done, 5));
    leave.abort();
    assertEquals((await second).status, 499);
    // Its place is free at once, though the first still runs.
    const fourth = handle(ask(say("fourth", { stream })));
    session.open();
    for (const r of [first, third, fourth]) {
      assertEquals((await r).status, 200);
      await (await r).text();
    }
    assertEquals(session.begun, ["first", "third", "fourth"]);
  }
});

Deno.test("leaving a body stops the answer within a step and frees its place", async () => {
  const session = fake({ pieces: 1000, held: true });
  const handle = handler(session, { limits: { queue: 1 } });
  for (let i = 0; i < 20; i++) {
    const stream = i % 2 === 0;
    const response = await handle(ask(say("long", { stream })));
    const reader = response.body!.getReader();
    if (stream) await reader.read();
    assertEquals(session.running(), 1);
    const begin = performance.now();
    await reader.cancel();
    await until(() => session.running() === 0, "stopped");
    assert(performance.now() - begin < 200);
  }
  const next = handle(ask(say("next")));
  session.open();
  assertEquals((await next).status, 200);
});

Deno.test("a wait and an answer have their longest time", async () => {
  const session = fake({ pieces: 1000, held: true });
  const limits = { queueMs: 30, answerMs: 120 };
  const handle = handler(session, { limits });
  const first = handle(ask(say("first")));
  await until(() => session.running() === 1, "runs");
  const second = await handle(ask(say("second")));
  assertEquals([second.status, await codeOf(second)], [503, "queue_timeout"]);
  const cut = await (await first).json();
  assertEquals(cut.choices[0].finish_reason, "length");
  assertEquals(cut.choices[0].message.content, "a");
});

Deno.test("while the model is loaded everything but the page says so", async () => {
  const loading = Promise.withResolvers<ReturnType<typeof fake>>();
  const handle = handler(loading.promise);
  const get = (path: string) => handle(new Request(`http://localhost${path}`));
  const early = await get("/health");
  assertEquals([early.status, await codeOf(early)], [503, "loading"]);
  assertEquals((await handle(ask(say("hi")))).status, 503);
  assertEquals((await get("/v1/models")).status, 503);
  assertEquals((await get("/")).status, 200);
  assertMatch(await (await get("/metrics")).text(), /mquant_ready 0\n/);
  loading.resolve(fake());
  await loading.promise;
  assertEquals((await get("/health")).status, 200);
  const errors: unknown[] = [];
  const failed = Promise.reject(new Error("secret /path"));
  const broken = handler(failed, { onError: (e) => errors.push(e) });
  await failed.catch(() => {});
  const answer = await broken(new Request("http://localhost/health"));
  assertEquals(answer.status, 500);
  assert(!(await answer.text()).includes("secret"));
  assertEquals(errors.length, 1);
});

Deno.test("an internal error goes to the log, not to the client", async () => {
  const session = {
    ...fake(),
    chat: () => {
      throw new TypeError("secret /path");
    },
  };
  const errors: unknown[] = [];
  const log: LogEntry[] = [];
  const handle = handler(session, {
    onError: (e) => errors.push(e),
    log: (entry) => log.push(entry),
  });
  const response = await handle(ask(say("hi")));
  assertEquals(response.status, 500);
  assert(!(await response.text()).includes("secret"));
  assertEquals(errors.length, 1);
  assertEquals(
    log.map(({ route, status, code }) => [route, status, code]),
    [["chat_completions", 500, "internal_error"]],
  );
});

Deno.test("a body that does not come ends the wait", async () => {
  const handle = handler(fake(), { limits: { bodyMs: 20, queue: 0 } });
  const slow = new Request("http://localhost/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: new ReadableStream({ start: (c) => c.enqueue(new Uint8Array(1)) }),
  });
  const response = await handle(slow);
  assertEquals([response.status, await codeOf(response)], [
    408,
    "body_timeout",
  ]);
  assertEquals((await handle(ask(say("hi")))).status, 200);
});

Deno.test("a body that is too large is refused while it is read", async () => {
  const session = fake();
  const server = listen(session, { port: 0, limits: { bodyBytes: 100_000 } });
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(c) {
      sent += 16384;
      if (sent > 50_000_000) c.close();
      else c.enqueue(new Uint8Array(16384).fill(32));
    },
  });
  const post = (body: BodyInit) =>
    fetch(`${server.url}v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
  for (const body of [endless, " ".repeat(100_001)]) {
    const response = await post(body);
    assertEquals([response.status, await codeOf(response)], [
      413,
      "body_too_large",
    ]);
  }
  assert(sent < 50_000_000, `${sent} bytes were taken`);
  const fits = JSON.stringify(say("hi")).padEnd(100_000);
  const good = await post(fits);
  assertEquals(good.status, 200);
  await good.body?.cancel();
  await server.shutdown();
});

Deno.test("draining finishes what is there and takes no more", async () => {
  const session = fake({ pieces: 4, held: true });
  const end = ending();
  const handle = handler(session, { lifecycle: end });
  const running = await handle(ask(say("running", { stream: true })));
  const waiting = handle(ask(say("waiting")));
  await until(() => session.running() === 1, "runs");
  end.drain(10_000);
  const late = await handle(ask(say("late")));
  assertEquals([late.status, await codeOf(late)], [503, "shutting_down"]);
  const health = await handle(new Request("http://localhost/health"));
  assertEquals(health.status, 503);
  await health.body?.cancel();
  session.open();
  assertMatch(await running.text(), /"finish_reason":"stop".*\[DONE\]\n\n$/s);
  assertEquals((await waiting).status, 200);
  end.settled();
});

Deno.test("the cut ends what runs with a whole event", async () => {
  const session = fake({ pieces: 4, held: true });
  const server = listen(session, { port: 0 });
  const post = (more: object) =>
    fetch(`${server.url}v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(say("long", more)),
    });
  const stream = await post({ stream: true });
  const waiting = post({});
  await until(() => session.running() === 1, "runs");
  await new Promise((done) => setTimeout(done, 30)); // the second arrives
  const ended = server.shutdown(50);
  const text = await stream.text();
  assertMatch(text, /data: \{"error":\{.*"shutting_down"\}\}\n\n$/);
  for (const line of text.split("\n\n").slice(0, -1)) {
    JSON.parse(line.slice("data: ".length));
  }
  const second = await waiting;
  assertEquals([second.status, await codeOf(second)], [503, "shutting_down"]);
  assertEquals(await ended, false);
});

Deno.test("beyond this machine only with a key", () => {
  for (const hostname of ["0.0.0.0", "::", "192.168.1.7", "example.com"]) {
    let message = "";
    try {
      listen(fake(), { hostname, port: 0 });
    } catch (error) {
      message = String(error);
    }
    assertMatch(message, /Cannot listen on .*API key/);
  }
});

Deno.test("the last to leave a draining house says so, once all is answered", async () => {
  for (const requests of [0, 2]) {
    const session = fake({ held: true });
    const end = ending();
    let settled = 0;
    const lifecycle = { ...end, settled: () => settled++ };
    const handle = handler(session, { lifecycle });
    const answers = Array.from(
      { length: requests },
      (_, i) => handle(ask(say(`${i}`, { stream: i === 0 }))),
    );
    const stream = await answers[0];
    end.drain(10_000);
    end.settled();
    assertEquals(settled, requests === 0 ? 1 : 0);
    session.open();
    await stream?.text();
    for (const answer of answers.slice(1)) await (await answer).text();
    assertEquals(settled, 1);
  }
});
