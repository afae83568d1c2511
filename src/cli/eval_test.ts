/** The evaluation end to end, on a folder of two sample photos. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { processIo } from "./io.ts";
import evaluate from "./eval.ts";
import { openJournal } from "./journal.ts";
import { parse } from "./command.ts";
import { BUNDLE, modelPath } from "./model_path.ts";
import { readReferences } from "./references.ts";

const bundled = [...Deno.readDirSync(BUNDLE)]
  .some((e) => e.name.endsWith(".safetensors"));

function withFolder(work: (folder: string) => void | Promise<void>) {
  return async () => {
    const folder = Deno.makeTempDirSync();
    try {
      await work(folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
}

Deno.test({
  name: "eval --json prints exactly what scripts count on",
  ignore: !bundled, // no model is bundled yet
  fn: withFolder(async (folder) => {
    Deno.mkdirSync(`${folder}/images`);
    for (const file of ["cat.jpg", "astronaut.jpg"]) {
      Deno.copyFileSync(
        fromFileUrl(new URL(`photos/${file}`, BUNDLE)),
        `${folder}/images/${file}`,
      );
    }
    Deno.writeTextFileSync(
      `${folder}/captions.json`,
      JSON.stringify([
        { file: "cat.jpg", captions: ["A cat looks at the camera."] },
        { file: "astronaut.jpg", captions: ["A woman in an orange suit."] },
      ]),
    );
    let out = "";
    const io = { ...processIo(), out: (t: string) => out += t, err() {} };
    const { values } = parse(evaluate, [
      folder,
      "--json",
      `--model=${modelPath(undefined)}`, // named: its checkpoint is not guessed
      "--threads=1",
      `--journal=${folder}/journal.jsonl`,
    ]);
    assertEquals(await evaluate.run([folder], values as never, io), 0);
    const result = JSON.parse(out);
    assertEquals(Object.keys(result), [
      "float",
      "quantized",
      "identical",
      "images",
      "agreement",
      "vqa",
      "text",
      "sites",
    ]);
    assertEquals(Object.keys(result.quantized), ["cider", "bleu4", "rougeL"]);
    assertEquals([result.agreement, result.vqa, result.text, result.sites], [
      null,
      null,
      null,
      null,
    ]);
    assertEquals([result.float, result.identical, result.images], [
      null,
      null,
      2,
    ]);
    assert(result.quantized.cider >= 0 && result.quantized.bleu4 >= 0);
    const lines = Deno.readTextFileSync(`${folder}/journal.jsonl`).trim();
    assertEquals(lines.split("\n").length, 2);
  }),
});

Deno.test(
  "a journal goes on where it ended, even in the middle of a line",
  withFolder((folder) => {
    const path = `${folder}/j.jsonl`;
    {
      using j = openJournal<string>(path, "run 1");
      j.add("a.jpg", "one");
    }
    Deno.writeTextFileSync(path, '\n{"key":"run 1","pho', { append: true });
    {
      using j = openJournal<string>(path, "run 1");
      assertEquals([j.get("a.jpg"), j.get("b.jpg")], ["one", undefined]);
      j.add("b.jpg", "two");
    }
    {
      using j = openJournal<string>(path, "run 1");
      assertEquals([j.get("a.jpg"), j.get("b.jpg")], ["one", "two"]);
    }
    using other = openJournal<string>(path, "run 2");
    assertEquals(other.get("a.jpg"), undefined);
  }),
);

Deno.test(
  "captions.json is refused where it is not what it must be",
  withFolder((folder) => {
    const cases: [string, string][] = [
      ["{", "not JSON"],
      ["{}", "not a list"],
      ["[]", "not a list"],
      ['[{"file":"../../x","captions":["a"]}]', "entry 0 names no file"],
      ['[{"file":"x.jpg","captions":[]}]', "entry 0 (x.jpg) has no captions"],
      ['[{"file":"x.jpg","captions":[1]}]', "entry 0 (x.jpg) has no captions"],
    ];
    assertThrows(() => readReferences(folder), RangeError, "no such file");
    for (const [text, want] of cases) {
      Deno.writeTextFileSync(`${folder}/captions.json`, text);
      assertThrows(() => readReferences(folder), RangeError, want);
    }
  }),
);
