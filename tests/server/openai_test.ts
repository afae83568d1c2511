/** OpenAI's official client works unchanged over a real socket. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import OpenAI from "openai";
import { listen, type Listening } from "../../src/server/mod.ts";
import { fake, photoUri, toySession, until } from "./fake.ts";

const MODEL = "toy";

function client({ url }: Listening, apiKey = "none"): OpenAI {
  return new OpenAI({ baseURL: `${url}v1`, apiKey, maxRetries: 0 });
}

const user = (content: string) => [{ role: "user" as const, content }];

Deno.test("models, plain, stream, usage, image, errors", async (t) => {
  await using session = await toySession();
  const server = listen(session, { port: 0, model: MODEL });
  const ai = client(server);
  const direct = await session.chat([{ role: "user", content: "hello" }], {
    maxTokens: 12,
    temperature: 1,
    seed: 5,
  });
  const asked = {
    model: MODEL,
    messages: user("hello"),
    max_completion_tokens: 12,
    temperature: 1,
    seed: 5,
  };

  await t.step("models", async () => {
    const ids: string[] = [];
    for await (const { id } of ai.models.list()) ids.push(id);
    assertEquals(ids, [MODEL]);
    assertEquals((await ai.models.retrieve(MODEL)).owned_by, "mquant");
  });

  await t.step("plain: the session's own text and counts", async () => {
    const { choices: [choice], usage, ...rest } = await ai.chat.completions
      .create(asked);
    assertEquals(choice.message.role, "assistant");
    assertEquals(choice.message.content, direct.text.trimStart());
    assertEquals(choice.finish_reason, direct.finish as "stop");
    assertEquals(
      [usage!.prompt_tokens, usage!.completion_tokens, usage!.total_tokens],
      [
        direct.promptTokens,
        direct.tokens.length,
        direct.promptTokens + direct.tokens.length,
      ],
    );
    assertMatch(rest.id, /^chatcmpl-[0-9a-f]{32}$/);
    assertEquals([rest.object, rest.model], ["chat.completion", MODEL]);
  });

  await t.step("stream: role first, finish last, then usage", async () => {
    const stream = await ai.chat.completions.create({
      ...asked,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await Array.fromAsync(stream);
    assertEquals(chunks[0].choices[0].delta.role, "assistant");
    const text = chunks.map((c) => c.choices[0]?.delta.content ?? "").join("");
    assertEquals(text, direct.text.trimStart());
    const finishes = chunks.map((c) => c.choices[0]?.finish_reason);
    assertEquals(finishes.at(-2), direct.finish as "stop");
    assertEquals(finishes.slice(0, -2).every((f) => f === null), true);
    assertEquals(chunks.at(-1)!.choices, []);
    assertEquals(
      chunks.at(-1)!.usage?.completion_tokens,
      direct.tokens.length,
    );
    assert(chunks.slice(0, -1).every((c) => c.usage === null));
    assertEquals(new Set(chunks.map((c) => c.id)).size, 1);
  });

  await t.step("logprobs: the session's own, plain and streamed", async () => {
    const likely = { ...asked, logprobs: true, top_logprobs: 2 };
    const { choices: [choice] } = await ai.chat.completions.create(likely);
    const content = choice.logprobs!.content!;
    const { logprobs } = await session.chat(
      [{ role: "user", content: "hello" }],
      { maxTokens: 12, temperature: 1, seed: 5, logprobs: 2 },
    );
    assertEquals(
      content.map((t) => [t.token, t.logprob, t.top_logprobs.length]),
      logprobs!.map((t) => [t.text, t.logprob, 2]),
    );
    const stream = ai.chat.completions.stream(likely);
    const whole = await stream.finalChatCompletion();
    assertEquals(whole.choices[0].logprobs!.content, content);
    const plain = await ai.chat.completions.create(asked);
    assertEquals(plain.choices[0].logprobs, null);
  });

  await t.step("JSON: valid for the schema, plain and streamed", async () => {
    const schema = {
      type: "object",
      properties: {
        animal: { enum: ["cat", "dog"] },
        legs: { type: "integer", minimum: 0, maximum: 4 },
      },
      required: ["animal", "legs"],
      additionalProperties: false,
    };
    const json = {
      ...asked,
      max_completion_tokens: 40,
      response_format: {
        type: "json_schema" as const,
        json_schema: { name: "seen", strict: true, schema },
      },
    };
    const valid = (text: string | null) => {
      const { animal, legs, ...more } = JSON.parse(text!);
      assert(["cat", "dog"].includes(animal) && legs >= 0 && legs <= 4);
      assertEquals(more, {});
    };
    const { choices: [choice] } = await ai.chat.completions.create(json);
    assertEquals(choice.finish_reason, "stop");
    valid(choice.message.content);
    const stream = ai.chat.completions.stream(json);
    valid((await stream.finalChatCompletion()).choices[0].message.content);
    const any = await ai.chat.completions.create({
      ...asked,
      response_format: { type: "json_object" },
    });
    const object = JSON.parse(any.choices[0].message.content!);
    assert(typeof object === "object" && !Array.isArray(object));
  });

  await t.step("images change the answer's prompt", async () => {
    const image = {
      type: "image_url" as const,
      image_url: { url: await photoUri(), detail: "auto" as const },
    };
    const tokens = async (...parts: (typeof image)[]) => {
      const { usage } = await ai.chat.completions.create({
        model: MODEL,
        max_tokens: 2,
        messages: [{
          role: "user",
          content: [...parts, { type: "text", text: "what?" }],
        }],
      });
      return usage!.prompt_tokens;
    };
    assert(await tokens(image) - await tokens() >= 4);
  });

  await t.step("a text that spells the image token stays text", async () => {
    const tokens = async (text: string) =>
      (await ai.chat.completions.create({ ...asked, messages: user(text) }))
        .usage!.prompt_tokens;
    assertEquals(await tokens("<image><end>"), await tokens("[image][end]"));
  });

  await t.step("errors are parsed", async () => {
    const unknown = await assertRejects(
      () => ai.chat.completions.create({ ...asked, model: "gpt-9" }),
      OpenAI.NotFoundError,
    );
    assertEquals([unknown.code, unknown.param], ["model_not_found", "model"]);
    const remote = await assertRejects(
      () =>
        ai.chat.completions.create({
          ...asked,
          messages: [{
            role: "user",
            content: [{
              type: "image_url",
              image_url: { url: "http://169.254.169.254/latest/meta-data" },
            }],
          }],
        }),
      OpenAI.BadRequestError,
    );
    assertEquals(remote.code, "remote_image_refused");
    const long = await assertRejects(
      () =>
        ai.chat.completions.create({
          ...asked,
          messages: user("much too long ".repeat(20)),
          stream: true,
        }),
      OpenAI.BadRequestError,
    );
    assertEquals(long.code, "context_length_exceeded");
  });
  assertEquals(await server.shutdown(), true);
});

Deno.test("leaving a stream or a plain request frees the slot for the next", async () => {
  const session = fake({ pieces: 1000, held: true });
  const server = listen(session, { port: 0, model: MODEL });
  const ai = client(server);
  // A prompt as long as one with an image: Deno hears of leaving clients late.
  const long = "first ".repeat(10_000);
  for (const stream of [true, false]) {
    const stop = new AbortController();
    const first = (async () => {
      const asked = { model: MODEL, messages: user(long) };
      const { signal } = stop;
      if (!stream) return await ai.chat.completions.create(asked, { signal });
      const answer = await ai.chat.completions.create(
        { ...asked, stream: true },
        { signal },
      );
      for await (const _ of answer);
    })().catch(() => {});
    await until(() => session.running() === 1, "running");
    const aborted = performance.now();
    stop.abort();
    await first;
    await until(() => session.running() === 0, "free");
    assert(performance.now() - aborted < 1000);
  }
  session.open();
  const next = await ai.chat.completions.create({
    model: MODEL,
    messages: user("next"),
  });
  assertEquals(next.choices[0].message.content?.slice(0, 5), "a b c");
  await server.shutdown();
});

Deno.test("with a key: the client that has it is served, others are not", async () => {
  const apiKey = "a-key-of-many-letters";
  const server = listen(fake(), { port: 0, model: MODEL, apiKey });
  const asked = { model: MODEL, messages: user("hi") };
  const good = await client(server, apiKey).chat.completions.create(asked);
  assertEquals(good.choices[0].message.content, "a b c");
  const error = await assertRejects(
    () => client(server, "wrong").chat.completions.create(asked),
    OpenAI.AuthenticationError,
  );
  assertEquals(error.code, "invalid_api_key");
  const health = await fetch(`${server.url}health`);
  assertEquals([health.status, await health.json()], [200, { status: "ok" }]);
  await server.shutdown();
});

Deno.test("64 clients at once: no answer is lost or mixed up", async () => {
  await using session = await toySession();
  const options = (seed: number) => ({ maxTokens: 4, temperature: 2, seed });
  const want: string[] = [];
  for (let seed = 0; seed < 64; seed++) {
    const { text } = await session.chat(
      [{ role: "user", content: `number ${seed}` }],
      options(seed),
    );
    want.push(text.trimStart());
  }
  assert(new Set(want).size > 32);
  const server = listen(session, {
    port: 0,
    model: MODEL,
    limits: { queue: 63 },
  });
  const ai = client(server);
  const got = await Promise.all(want.map(async (_, seed) => {
    const asked = {
      model: MODEL,
      messages: user(`number ${seed}`),
      max_tokens: 4,
      temperature: 2,
      seed,
    };
    if (seed % 2 === 0) {
      const { choices } = await ai.chat.completions.create(asked);
      return choices[0].message.content;
    }
    let text = "";
    for await (
      const { choices } of await ai.chat.completions.create({
        ...asked,
        stream: true,
      })
    ) text += choices[0].delta.content ?? "";
    return text;
  }));
  assertEquals(got, want);
  await server.shutdown();
});
