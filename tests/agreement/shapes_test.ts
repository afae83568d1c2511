/**
 * Native resolution: images of several sizes in one session, within a limit of pixels,
 * give the same bits for any plan.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { formulaImageOf } from "../formula_image.ts";
import { type Message, open, RuntimeError } from "../../src/mod.ts";
import { Engine } from "../../src/execute/engine.ts";
import { argmax } from "../../src/tensor/argmax.ts";
import { gridsOf, openFamily, pixelsOf } from "../golden/family.ts";
import { staticFamily } from "./family_file.ts";

type Content = Exclude<Message["content"], string>;

const content = (parts: readonly string[]): Content =>
  parts.map((p) =>
    p.startsWith("formula:")
      ? { type: "image", image: formulaImageOf(p) }
      : { type: "text", text: p }
  );

for (const name of ["qwen25vl-toy", "qwen2vl-toy", "qwen3vl-toy"]) {
  Deno.test(`pictures of several shapes in one session: ${name}`, async () => {
    using family = openFamily(name);
    const { model, bytes } = staticFamily(family, "w4a8");
    await using session = await open(bytes, { threads: 1, remember: true });
    await using engine = await Engine.create(model, family.plan, {
      threads: 1,
      maxPixels: 4096,
    });
    for (const item of family.items) {
      const ask: Message = { role: "user", content: content(item.parts) };
      const result = await session.chat([ask], { maxTokens: 3 });
      assertEquals(result.promptTokens, item.input_ids.length, item.name);

      const tiles = pixelsOf(family, item), rows: number[] = [];
      for (const tile of tiles) rows.push(...await engine.encode(tile));
      engine.reset();
      const first = await engine.prefill(
        item.input_ids,
        Float32Array.from(rows),
        undefined,
        gridsOf(family, tiles),
      );
      assertEquals(result.tokens[0], argmax(first), item.name);

      const more = await session.chat([
        ask,
        { role: "assistant", content: result.text },
        { role: "user", content: "And what else?" },
      ], { maxTokens: 1 });
      assert(more.cachedTokens > 0, `${item.name}: nothing was remembered`);
    }
  });

  Deno.test(`a budget of pixels: ${name}`, async () => {
    using family = openFamily(name);
    const { bytes } = staticFamily(family, "w4a8");
    const wide = content(["formula:waves:90x40", "What is in the picture?"]);
    const tokens = async (
      opened: { maxPixels?: number },
      asked: { maxPixels?: number; minPixels?: number } = {},
    ) => {
      await using session = await open(bytes, { threads: 1, ...opened });
      const { promptTokens } = await session.chat(
        [{ role: "user", content: wide }],
        { maxTokens: 1, ...asked },
      );
      return promptTokens;
    };
    const own = await tokens({}); // 12 tokens: 48 × 16 pixels of at most 32 × 32
    assertEquals(own - await tokens({}, { maxPixels: 512 }), 12 - 4);
    assertEquals(own - await tokens({ maxPixels: 512 }), 12 - 4);
    // More than preprocessor_config.json allows is not shown.
    assertEquals(await tokens({ maxPixels: 4096 }), own);
    for (const asked of [{ maxPixels: 63 }, { maxPixels: 1025 }]) {
      const error = await assertRejects(
        () => tokens({}, asked),
        RuntimeError,
        "maxPixels must be a whole number from 64 (one token) to 1024",
      );
      assertEquals(error.code, "option");
    }
    await assertRejects(
      () => tokens({}, { maxPixels: 512, minPixels: 513 }),
      RuntimeError,
      "minPixels",
    );
    await assertRejects(
      () => tokens({ maxPixels: 1 }),
      RuntimeError,
      "Cannot open",
    );
  });
}

Deno.test("a picture that the plan has no room for is refused", async () => {
  using family = openFamily("qwen2vl-toy");
  const { model } = staticFamily(family, "w4a8");
  await using engine = await Engine.create(model, family.plan, { threads: 1 });
  for (const [width, height] of [[40, 32], [12, 8], [0, 8]]) {
    const data = new Uint8Array(width * height * 3);
    await assertRejects(
      () => engine.encode({ width, height, data }),
      RuntimeError,
      "multiples of 8 and at most 1024 pixels",
    );
  }
});
