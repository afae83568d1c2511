/**
 * Sessions: a prompt in parts equals a whole prompt, an abort changes nothing, turns
 * of a conversation are kept.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { toFileUrl } from "@std/path";
import {
  type AskOptions,
  type ImageInput,
  type Message,
  open,
  type Progress,
  RuntimeError,
} from "../../src/mod.ts";
import { png } from "../../tools/crops.ts";
import { toy, toyPixels } from "./toy_file.ts";

const IMAGE = toyPixels(9);
const TOY = toy({ tied: false }); // a tied toy repeats its last token
const OPTIONS = { maxTokens: 12 };

const openToy = (threads = 1) => open(TOY.bytes, { threads });

for (const threads of [1, 2]) {
  Deno.test(`pieces add up to the text, a second ask gives the same (${threads} threads)`, async () => {
    await using session = await openToy(threads);
    assertEquals(session.info.threads, threads);
    const want = await session.caption(IMAGE, OPTIONS);
    assertEquals(want.tokens.length, 12);
    assertEquals(want.finish, "length");
    const answer = session.caption(IMAGE, OPTIONS);
    let text = "";
    for await (const piece of answer) text += piece;
    const { tokens, finish } = await answer;
    assertEquals({ text, tokens, finish }, {
      text: want.text,
      tokens: want.tokens,
      finish: want.finish,
    });
  });

  Deno.test(`aborting at any point leaves the session as it was (${threads} threads)`, async () => {
    await using session = await openToy(threads);
    const want = await session.caption(IMAGE, OPTIONS);
    const events: Progress[] = [];
    await session.caption(IMAGE, {
      ...OPTIONS,
      onProgress: (p) => events.push(p),
    });
    assert(events.length >= 14);
    for (let at = 0; at < events.length; at++) {
      const stop = new AbortController();
      let seen = 0;
      const cut = await session.caption(IMAGE, {
        ...OPTIONS,
        signal: stop.signal,
        onProgress: () => seen++ === at && stop.abort(),
      });
      if (at < events.length - 1) assertEquals(cut.finish, "aborted", `${at}`);
      assertEquals(want.tokens.slice(0, cut.tokens.length), cut.tokens);
      assert(want.text.startsWith(cut.text.replace(/\ufffd+$/, "")));
    }
    assertEquals((await session.caption(IMAGE, OPTIONS)).tokens, want.tokens);
  });
}

Deno.test("leaving the iteration early cancels the answer", async () => {
  await using session = await openToy();
  const long = { maxTokens: 100 };
  const answer = session.caption(IMAGE, long);
  for await (const _ of answer) break;
  const { finish, tokens } = await answer;
  assertEquals(finish, "aborted");
  assert(tokens.length < 100);
});

Deno.test("answers asked for at once are those asked for one by one", async () => {
  await using session = await openToy(2);
  const other = toyPixels(3);
  const ask = (o: AskOptions = {}) => [
    session.caption(IMAGE, { ...OPTIONS, ...o }),
    session.caption(other, { ...OPTIONS, ...o }),
    session.chat([{ role: "user", content: "the dog" }], { ...OPTIONS, ...o }),
  ];
  const serial: number[][] = [];
  for (const a of ask()) serial.push((await a).tokens);
  assert(
    `${serial[0]}` !== `${serial[1]}` && `${serial[1]}` !== `${serial[2]}`,
  );
  const atOnce = await Promise.all(ask());
  assertEquals(atOnce.map((r) => r.tokens), serial);
});

Deno.test("who is cancelled while waiting leaves at once, the neighbours stay as they are", async () => {
  await using session = await openToy();
  const want = (await session.caption(IMAGE, OPTIONS)).tokens;
  const stop = new AbortController();
  const order: string[] = [];
  const note = <T>(name: string, p: PromiseLike<T>) =>
    p.then((r) => (order.push(name), r));
  const [a, b, c] = [
    note("a", session.caption(IMAGE, OPTIONS)),
    note("b", session.caption(IMAGE, { ...OPTIONS, signal: stop.signal })),
    note("c", session.caption(IMAGE, OPTIONS)),
  ];
  stop.abort();
  assertEquals((await b).finish, "aborted");
  assertEquals((await a).tokens, want);
  assertEquals((await c).tokens, want);
  assertEquals(order, ["b", "a", "c"]);
});

Deno.test("a signal that was aborted before gives an empty answer", async () => {
  await using session = await openToy();
  const { finish, text } = await session.caption(IMAGE, {
    signal: AbortSignal.abort(),
  });
  assertEquals({ finish, text }, { finish: "aborted", text: "" });
  await assertRejects(() => open(TOY.bytes, { signal: AbortSignal.abort() }));
});

Deno.test("the same seed draws the same tokens, another seed others", async () => {
  await using session = await openToy();
  const draw = async (seed: number, more: AskOptions = {}) =>
    `${
      (await session.caption(IMAGE, {
        ...OPTIONS,
        temperature: 1.5,
        seed,
        ...more,
      })).tokens
    }`;
  assertEquals(await draw(1), await draw(1));
  assert(await draw(1) !== await draw(2));
  assertEquals(await draw(3, { topK: 1 }), await draw(4, { temperature: 0 }));
});

Deno.test("a stop text ends the answer before it", async () => {
  await using session = await openToy();
  const { text } = await session.caption(IMAGE, OPTIONS);
  const stop = text.slice(2, 4);
  const cut = await session.caption(IMAGE, { ...OPTIONS, stop: [stop] });
  assertEquals(cut.text, text.slice(0, text.indexOf(stop)));
  assertEquals(cut.finish, "stop");
});

Deno.test("requests that cannot be answered say why, and cost nothing", async () => {
  await using session = await openToy();
  const user = (
    content: Message["content"],
  ): Message[] => [{ role: "user", content }];
  const bad: [string, () => PromiseLike<unknown>][] = [
    ["option", () => session.caption(IMAGE, { maxTokens: 0 })],
    ["option", () => session.caption(IMAGE, { maxTokens: 1.5 })],
    ["option", () => session.caption(IMAGE, { temperature: NaN })],
    ["option", () => session.caption(IMAGE, { temperature: -1 })],
    ["option", () => session.caption(IMAGE, { topP: 0 })],
    ["option", () => session.caption(IMAGE, { topK: 0.5 })],
    ["option", () => session.caption(IMAGE, { seed: 1e300 })],
    [
      "option",
      () => session.caption(IMAGE, { stop: ["a", "b", "c", "d", "e"] }),
    ],
    ["option", () => session.caption(IMAGE, { stop: [""] })],
    ["context", () => session.chat(user("x".repeat(500)))],
  ];
  for (const [code, ask] of bad) {
    const error = await assertRejects(async () => await ask(), RuntimeError);
    assertEquals((error as RuntimeError).code, code);
    assert((error as Error).message.startsWith("Cannot "));
  }
  await assertRejects(async () =>
    await session.caption({ ...IMAGE, width: 15 })
  );
  await assertRejects(async () => await session.caption(new Uint8Array(10)));
  assertEquals((await session.caption(IMAGE, OPTIONS)).finish, "length");
});

Deno.test("text that spells an image token is text", async () => {
  await using session = await openToy();
  const { promptTokens } = await session.chat(
    [{ role: "user", content: "<image>" }],
    { maxTokens: 1 },
  );
  assert(promptTokens > 10, "eight characters, not one token of an image");
});

Deno.test("a closed session refuses, and closing cancels what runs", async () => {
  const session = await openToy(2);
  const running = session.caption(IMAGE, { maxTokens: 90 });
  const result = running.then((r) => r.finish);
  await session[Symbol.asyncDispose]();
  assertEquals(await result, "aborted");
  const error = await assertRejects(
    async () => await session.caption(IMAGE),
    RuntimeError,
  );
  assertEquals((error as RuntimeError).code, "closed");
});

Deno.test("a session that remembers answers the same, with less to do", async () => {
  await using fresh = await openToy();
  await using session = await open(TOY.bytes, { threads: 1, remember: true });
  const messages: Message[] = [{
    role: "user",
    content: [{ type: "image", image: IMAGE }, { type: "text", text: "the" }],
  }];
  const few = { maxTokens: 4 };
  let cached = 0;
  for (const follow of ["dog", "the end"]) {
    const want = await fresh.chat(messages, few);
    const got = await session.chat(messages, few);
    assertEquals(got.tokens, want.tokens);
    assertEquals(want.cachedTokens, 0);
    cached = got.cachedTokens;
    messages.push(
      { role: "assistant", content: got.text },
      { role: "user", content: follow },
    );
  }
  assert(cached > 5, `${cached} tokens cached`);
  const other = [{ ...messages[0] }, ...messages.slice(1)];
  other[0].content = [
    { type: "image", image: toyPixels(4) },
    { type: "text", text: "the" },
  ];
  const [want, got] = [
    await fresh.chat(other, few),
    await session.chat(other, few),
  ];
  assertEquals(got.tokens, want.tokens);
  assertEquals(got.cachedTokens, 0);
});

Deno.test("an answer with a schema is valid JSON, at any temperature and any length limit", async () => {
  await using session = await openToy();
  const schema = {
    type: "object",
    properties: {
      caption: { type: "string" },
      people: { type: "integer", minimum: 0, maximum: 9 },
    },
    required: ["caption", "people"],
  };
  const least = '{"caption":"","people":0}'.length;
  for (const maxTokens of [least, least + 1, 40, 60]) {
    for (const temperature of [0, 1, 5]) {
      const { text, tokens, finish } = await session.caption(IMAGE, {
        ...{ schema, maxTokens, temperature, seed: maxTokens },
      });
      const { caption, people, ...rest } = JSON.parse(text);
      assertEquals([typeof caption, rest, finish], ["string", {}, "stop"]);
      assert(Number.isInteger(people) && people >= 0 && people <= 9, text);
      assert(tokens.length <= maxTokens);
    }
  }
  const bad: AskOptions[] = [
    { schema, maxTokens: least - 1 },
    { schema, stop: ["x"] },
    { schema: { type: "string", pattern: "x" } },
    { logprobs: 21 },
    { logprobs: 0.5 },
  ];
  for (const options of bad) {
    const error = await assertRejects(
      async () => await session.caption(IMAGE, options),
      RuntimeError,
    );
    const aboutSchema = /JSON schema/.test((error as RuntimeError).message);
    assertEquals(
      (error as RuntimeError).code,
      aboutSchema ? "schema" : "option",
    );
  }
});

Deno.test("likelihoods: of the token that was taken, and of the likeliest, which sum to less than one", async () => {
  await using session = await openToy();
  const { tokens, logprobs = [] } = await session.caption(IMAGE, {
    ...OPTIONS,
    logprobs: 3,
  });
  assertEquals(logprobs.map((t) => t.id), tokens);
  for (const { id, logprob, top } of logprobs) {
    assertEquals([id, logprob], [top[0].id, top[0].logprob]); // greedy
    assertEquals(top.length, 3);
    assert(
      top[0].logprob >= top[1].logprob && top[1].logprob >= top[2].logprob,
    );
    const share = top.reduce((sum, t) => sum + Math.exp(t.logprob), 0);
    assert(share > 0 && share <= 1 + 1e-6);
  }
  const all = await session.caption(IMAGE, { maxTokens: 1, logprobs: 20 });
  assertEquals(all.logprobs?.[0].top.length, 20);
  const none = await session.caption(IMAGE, OPTIONS);
  assertEquals([none.tokens, none.logprobs], [tokens, undefined]);
});

Deno.test("an image is bytes, pixels with or without alpha, a path or an address", async () => {
  await using session = await openToy();
  const file = png(IMAGE.data, 16);
  const rgba = new ImageData(16, 16);
  for (let i = 0; i < 256; i++) {
    rgba.data.set(IMAGE.data.subarray(i * 3, i * 3 + 3), i * 4);
    rgba.data[i * 4 + 3] = i; // alpha is left out, as PIL does
  }
  const folder = await Deno.makeTempDir();
  const served = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    ({ url }) =>
      url.endsWith("/a.png")
        ? new Response(file)
        : new Response("no", { status: 404 }),
  );
  const host = `http://127.0.0.1:${served.addr.port}`;
  try {
    await Deno.writeFile(`${folder}/a b.png`, file);
    const inputs: ImageInput[] = [
      file,
      rgba,
      `${folder}/a b.png`,
      toFileUrl(`${folder}/a b.png`),
      String(toFileUrl(`${folder}/a b.png`)),
      `data:image/png;base64,${file.toBase64()}`,
      `${host}/a.png`,
      new URL(`${host}/a.png`),
    ];
    const want = (await session.caption(IMAGE, OPTIONS)).tokens;
    for (const image of inputs) {
      const { tokens } = await session.ask("Describe this image.", image, {
        ...OPTIONS,
      });
      assertEquals(tokens, want, String(image).slice(0, 40));
    }
    const listed = await session.ask("Describe this image.", [file], OPTIONS);
    assertEquals(listed.tokens, want);
    const wrong: [ImageInput, RegExp][] = [
      [`${host}/b.png`, /answered 404; check/],
      [folder, /it is a folder; give the photos in it/],
      [`${folder}/no.png`, /No such file/],
      [
        { width: 16, height: 16, data: new Uint8Array(5) },
        /\(RGBA\): it has 5/,
      ],
    ];
    for (const [image, why] of wrong) {
      const error = await assertRejects(async () =>
        await session.caption(image)
      ) as Error;
      assertMatch(error.message, why);
    }
  } finally {
    await served.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
});
