/**
 * Images of families with native resolution: decoded one at a time, held as bytes
 * while waiting.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { type AskOptions, open } from "../../src/mod.ts";
import { type Answering, handler } from "../../src/server/mod.ts";
import { staticFamily } from "../agreement/family_file.ts";
import { openFamily } from "../golden/family.ts";
import { ask, photoUri } from "./fake.ts";

const WAITING = 8;

Deno.test("waiting requests decode their pictures one at a time", async () => {
  using family = openFamily("qwen2vl-toy");
  const { bytes } = staticFamily(family, "w4a8");
  await using session = await open(bytes, { threads: 1 });
  const stages: string[] = [];
  let next = 0;
  const noted: Answering = {
    info: session.info,
    chat(messages, options: AskOptions = {}) {
      const id = next++;
      return session.chat(messages, {
        ...options,
        onProgress(progress) {
          stages.push(`${id} ${progress.stage}`);
          options.onProgress?.(progress);
        },
      });
    },
  };
  const handle = handler(noted);
  const url = await photoUri();
  const request = (text: string) => ({
    messages: [{
      role: "user",
      content: [
        { type: "image_url", image_url: { url } },
        { type: "text", text },
      ],
    }],
    max_tokens: 2,
  });
  const answers = await Promise.all(
    Array.from({ length: WAITING }, () => handle(ask(request("what?")))),
  );
  for (const answer of answers) {
    assertEquals(answer.status, 200);
    await answer.text();
  }
  const begun = stages.map((s) => Number(s.split(" ")[0]));
  assertEquals(begun, begun.toSorted((a, b) => a - b));
  assertEquals(stages.filter((s) => s.endsWith("image")).length, 2 * WAITING);

  // What is wrong with the prompt is known in its turn, and still told by the status.
  const long = await handle(ask(request("word ".repeat(3000))));
  assertEquals(long.status, 400);
  const { error } = await long.json();
  assertEquals(error.code, "context_length_exceeded");
  assertMatch(error.message, /^Cannot answer: the prompt must leave room/);
  const bad = await handle(ask({
    ...request("what?"),
    response_format: {
      type: "json_schema",
      json_schema: { schema: { type: "nothing" } },
    },
  }));
  assertEquals([bad.status, (await bad.json()).error.code], [
    400,
    "invalid_value",
  ]);
  assert(stages.length > 0);
});
