/** The question and the model of a run are those it began with. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { toy, toyPixels } from "../../tests/agreement/toy_file.ts";
import { png } from "../../tools/crops.ts";
import { CAPTION_OPTIONS, type CaptionValues } from "./caption_options.ts";
import { captioner } from "./captioner.ts";
import type { Io } from "./io.ts";

const controller = new AbortController();
const io: Io = {
  out() {},
  err() {},
  status() {},
  controller,
  signal: controller.signal,
};
const photo = () => png(toyPixels(1).data, 16) as Uint8Array<ArrayBuffer>;

async function inFolder(
  work: (values: CaptionValues, model: string, schema: string) => Promise<void>,
) {
  const folder = Deno.makeTempDirSync();
  const model = `${folder}/toy.safetensors`, schema = `${folder}/schema.json`;
  Deno.writeFileSync(model, toy().bytes);
  Deno.writeTextFileSync(schema, '{"const":1}');
  const none = Object.keys(CAPTION_OPTIONS).map((key) => [key, undefined]);
  const given = { model, schema, threads: 1, "max-tokens": 8 };
  try {
    await work({ ...Object.fromEntries(none), ...given }, model, schema);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("a schema that changes during a run does not change its answers", async () => {
  await inFolder(async (values, _, schema) => {
    const before = captioner(values, io).origin;
    await using captions = captioner(values, io);
    assertEquals(captions.origin, before);
    Deno.writeTextFileSync(schema, '{"const":2}');
    assertEquals((await captions.caption(photo(), "a.png")).text.trim(), "1");
    assert(captioner(values, io).origin.ask !== before.ask);
  });
});

Deno.test("a model that is replaced before it is opened is refused: captions are noted under its hash", async () => {
  await inFolder(async (values, model) => {
    await using captions = captioner(values, io);
    Deno.writeFileSync(model, toy({ recipe: "w8a8" }).bytes);
    await assertRejects(
      () => captions.caption(photo(), "a.png"),
      Error,
      "was replaced meanwhile; run",
    );
  });
});
