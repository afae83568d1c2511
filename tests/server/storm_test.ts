/** Many requests, malformed ones, and clients that leave at any moment. */
import { assert, assertEquals } from "@std/assert";
import type { Progress } from "../../src/mod.ts";
import { type Answering, handler } from "../../src/server/mod.ts";
import { random, uniform } from "../../src/tensor/random.ts";
import { ask, fake, photoUri, say, toySession, until } from "./fake.ts";

Deno.test("3000 mutants of a request: 200 or 4xx, never 500, and it goes on", async () => {
  const failures: unknown[] = [];
  const handle = handler(fake({ pieces: 1 }), {
    onError: (e) => failures.push(e),
  });
  const good = JSON.stringify({
    ...say("hi", {
      temperature: 0.5,
      stop: ["x"],
      max_tokens: 5,
      stream: false,
    }),
    messages: [
      { role: "system", content: "be short" },
      {
        role: "user",
        content: [
          { type: "text", text: "what?" },
          {
            type: "image_url",
            image_url: { url: "data:image/png;base64,iVBORw0KGgo=" },
          },
        ],
      },
    ],
  });
  assertEquals((await handle(ask(good))).status, 200);
  const next = random(20261123);
  const int = (n: number) => Math.floor(uniform(next) * n);
  const pieces = [
    ...['"', "{", "}", "[", "]", ",", ":", "null", "-1", "1e999", "0", "{}"],
    ...["[]", '""', "\\", "\\u0000", "\\ud800", "true", "\u{1F600}", "\0"],
  ];
  const seen = new Map<number, number>();
  for (let i = 0; i < 3000; i++) {
    let text = good;
    for (let edits = 1 + int(3); edits > 0; edits--) {
      const at = int(text.length), cut = int(4) === 0 ? int(40) : int(3);
      const put = int(3) === 0 ? "" : pieces[int(pieces.length)];
      text = text.slice(0, at) + put + text.slice(at + cut);
    }
    const response = await handle(ask(text));
    const { status } = response;
    await response.text();
    seen.set(status, (seen.get(status) ?? 0) + 1);
    assert(
      status === 200 || status >= 400 && status < 500,
      `${status} ${text}`,
    );
  }
  assertEquals(failures, []);
  assert(seen.get(400)! > 1000, [...seen].join(" "));
  assertEquals((await handle(ask(good))).status, 200);
});

Deno.test("64 clients, 500 requests, a queue of 16: every one is accounted for, in order", async () => {
  const session = fake({ pieces: 2 });
  const handle = handler(session);
  const count = { sent: 0, ok: 0, full: 0, left: 0 };
  const answered: string[] = [];
  await Promise.all(Array.from({ length: 64 }, async (_, client) => {
    for (let i = 0; count.sent < 500; i++) {
      count.sent++;
      const leave = new AbortController();
      const text = `${client}.${i}`, leaves = (client + i) % 5 === 0;
      const asked = handle(ask(say(text), {}, leave.signal));
      const timer = leaves ? setTimeout(() => leave.abort(), i % 3) : undefined;
      const response = await asked;
      await response.text().catch(() => {});
      clearTimeout(timer);
      if (leave.signal.aborted) count.left++;
      else if (response.status === 200) {
        count.ok++;
        answered.push(text);
      } else if (response.status === 503) {
        count.full++;
        await new Promise((done) => setTimeout(done, 1));
      } else throw new Error(`${response.status}`);
    }
  }));
  const { sent, ok, full, left } = count;
  assertEquals(ok + full + left, sent);
  assert(ok > 50 && full > 0, JSON.stringify(count));
  // Answers came in the order in which their requests had been begun.
  const begun = session.begun.filter((text) => answered.includes(text));
  assertEquals(answered, begun);
});

Deno.test("a client that leaves at any stage frees its slot and changes no neighbour", async () => {
  await using session = await toySession();
  let leaveAt: Progress["stage"] | undefined, leave = () => {};
  // The real session, told on when a client leaves.
  const hooked: Answering = {
    info: session.info,
    chat: (messages, options = {}) =>
      session.chat(messages, {
        ...options,
        onProgress(progress) {
          options.onProgress?.(progress);
          if (progress.stage !== leaveAt) return;
          leaveAt = undefined;
          leave();
        },
      }),
  };
  const handle = handler(hooked);
  const url = await photoUri();
  const request = (more: object) => ({
    messages: [{
      role: "user",
      content: [
        { type: "image_url", image_url: { url } },
        { type: "text", text: "?" },
      ],
    }],
    max_tokens: 20,
    temperature: 1,
    seed: 3,
    ...more,
  });
  const plain = async () =>
    (await (await handle(ask(request({})))).json()).choices[0].message.content;
  const want = await plain();
  for (const stage of ["image", "vision", "prefill", "decode"] as const) {
    for (const stream of [false, true]) {
      const client = new AbortController();
      leaveAt = stage;
      leave = () => client.abort();
      const first = handle(ask(request({ stream }), {}, client.signal));
      const neighbour = plain();
      const response = await first;
      // Where the head was sent already, it is a body that breaks off.
      const text = await response.text().catch(() => "broken off");
      assert(
        response.status === 499 || /broken off|"cancelled"/.test(text),
        `${stage} ${stream} ${response.status} ${text}`,
      );
      const begin = performance.now();
      assertEquals(await neighbour, want, `${stage} ${stream}`);
      assert(performance.now() - begin < 2000);
    }
  }
  const metrics = async () =>
    await (await handle(new Request("http://localhost/metrics"))).text();
  let text = "";
  await until(() => {
    metrics().then((t) => text = t);
    return /stage="running"\} 0\n/.test(text);
  }, "an empty house");
  for (const stage of ["reading", "waiting"]) {
    assert(text.includes(`mquant_inside{stage="${stage}"} 0\n`), stage);
  }
});
