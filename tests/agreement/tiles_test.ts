/** Tiled images in a session: the prompt, the tokens and the text of an answer. */
import { assertEquals, assertRejects } from "@std/assert";
import { argmax } from "../../src/tensor/argmax.ts";
import { formulaImageOf } from "../formula_image.ts";
import type { Message } from "../../src/mod.ts";
import { open } from "../../src/mod.ts";
import { Engine } from "../../src/execute/engine.ts";
import { openFamily, pixelsOf } from "../golden/family.ts";
import { staticFamily } from "./family_file.ts";

for (const name of ["internvl-toy", "smolvlm-tiles-toy", "nanovlm-toy"]) {
  Deno.test(`a picture in tiles, asked of a session: ${name}`, async () => {
    using family = openFamily(name);
    const { model, bytes } = staticFamily(family, "w4a8");
    const item = family.items.find((i) => i.name === "in tiles")!;
    const content: Exclude<Message["content"], string> = item.parts.map((p) =>
      p.startsWith("formula:")
        ? { type: "image", image: formulaImageOf(p) }
        : { type: "text", text: p }
    );
    const messages: Message[] = [{ role: "user", content }];
    const ask = { maxTokens: 5, maxTiles: item.max_tiles! };
    await using session = await open(bytes, { threads: 1 });
    const result = await session.chat(messages, ask);
    assertEquals(result.promptTokens, item.input_ids.length);

    await using engine = await Engine.create(model, family.plan, {
      threads: 1,
    });
    const rows: number[] = [];
    for (const p of pixelsOf(family, item)) {
      rows.push(...await engine.encode(p));
    }
    const first = await engine.prefill(
      item.input_ids,
      Float32Array.from(rows),
    );
    assertEquals(result.tokens[0], argmax(first));

    const whole = await session.chat(messages, { maxTokens: 1 });
    assertEquals(whole.promptTokens < result.promptTokens, true);
    const again = await session.chat(messages, ask);
    assertEquals(again.tokens, result.tokens);
    await assertRejects(
      () => Promise.resolve(session.chat(messages, { maxTiles: 0 })),
      Error,
      "maxTiles",
    );
  });
}
