/** A text-only model, from its file to an answer. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { open, RuntimeError } from "../../src/mod.ts";
import { openFamily } from "../golden/family.ts";
import { staticFamily } from "./family_file.ts";

Deno.test("a text-only model chats, takes no image, and its plan has no image rows", async () => {
  using family = openFamily("llama-toy");
  await using session = await open(staticFamily(family, "w4a8").bytes);
  assertEquals(session.info.imageTokens, 0);
  const ask = (text: string) =>
    session.chat([{ role: "user", content: text }], { maxTokens: 5 });
  const { tokens, promptTokens } = await ask("What is in the picture?");
  assertEquals(promptTokens, family.items[0].input_ids.length);
  assertEquals(tokens.length, 5);
  const { steps } = session.describePlan();
  assert(steps.length > 0);
  assert(steps.every((s) => s.list !== "vision" && s.rows !== "image"));
  const image = { width: 1, height: 1, data: new Uint8Array(3) };
  const error = await assertRejects(
    async () => await session.caption(image),
    RuntimeError,
    "is text-only",
  );
  assertEquals(error.code, "prompt");
});
