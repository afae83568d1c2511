/** Captions in files, with a model that says what a photo's bytes are. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import type { Result } from "../mod.ts";
import {
  captionFiles,
  type CaptionFilesOptions,
  type Tally,
} from "./caption_files.ts";
import { openCaptionJournal, type Origin } from "./caption_journal.ts";
import type { Io } from "./io.ts";
import { openJsonLines } from "./json_lines.ts";

const NOTHING: Tally = { made: 0, reused: 0, kept: 0, failed: 0 };

/** A folder of photos of the given contents; `run` captions them all. */
function place(contents: Readonly<Record<string, string>>) {
  const root = Deno.makeTempDirSync();
  const path = (name: string) => `${root}/${name}`;
  const write = (name: string, text: string) =>
    Deno.writeTextFileSync(path(name), text);
  for (const [name, text] of Object.entries(contents)) write(name, text);
  const asked: string[] = [];
  return {
    asked,
    write,
    path,
    read: (name: string) => Deno.readTextFileSync(path(name)),
    names: () => [...Deno.readDirSync(root)].map((e) => e.name).sort(),
    lines: () => Deno.readTextFileSync(path("captions.jsonl")).split("\n"),
    async run(
      options: Partial<CaptionFilesOptions> = {},
      origin: Partial<Origin> = {},
      photos = Object.keys(contents),
    ) {
      using journal = openCaptionJournal(path("captions.jsonl"), {
        model: "m",
        ask: "a",
        ...origin,
      });
      return await captionFiles(photos.map(path), {
        kinds: ["txt"],
        fullNames: false,
        overwrite: false,
        json: false,
        journal,
        io: silent(),
        caption(bytes) {
          const text = new TextDecoder().decode(bytes);
          if (text === "bad") throw new Error("Cannot read it");
          asked.push(text);
          return Promise.resolve({ text: `a ${text}`, tokens: [] } as never);
        },
        ...options,
      });
    },
    [Symbol.dispose]: () => Deno.removeSync(root, { recursive: true }),
  };
}

function silent(): Io & { said: string } {
  const controller = new AbortController();
  const io = {
    said: "",
    out: (text: string) => void (io.said += text),
    err: (text: string) => void (io.said += text),
    status() {},
    controller,
    signal: controller.signal,
  };
  return io;
}

Deno.test("a second run does nothing; a lost sidecar comes from the journal", async () => {
  using p = place({ "1.jpg": "cat", "2.jpg": "dog" });
  assertEquals(await p.run(), { ...NOTHING, made: 2 });
  assertEquals([p.read("1.txt"), p.read("2.txt")], ["a cat\n", "a dog\n"]);
  assertEquals(await p.run(), { ...NOTHING, kept: 2 });
  Deno.removeSync(p.path("1.txt"));
  assertEquals(await p.run(), { ...NOTHING, reused: 1, kept: 1 });
  assertEquals(p.read("1.txt"), "a cat\n");
  assertEquals(p.asked, ["cat", "dog"]);
  assertEquals(p.lines().length, 3); // the last one is empty
  assertEquals(await p.run({ kinds: [] }), { ...NOTHING, kept: 2 });
});

Deno.test("another content, model or question is captioned anew; another name is not", async () => {
  using p = place({ "1.jpg": "cat" });
  await p.run();
  assertEquals(await p.run({}, { model: "n" }), { ...NOTHING, made: 1 });
  assertEquals(await p.run({}, { ask: "b" }), { ...NOTHING, made: 1 });
  p.write("1.jpg", "cow");
  assertEquals(await p.run(), { ...NOTHING, made: 1 });
  assertEquals(p.read("1.txt"), "a cow\n"); // ours, so it follows
  p.write("2.jpg", "cow");
  assertEquals(await p.run({}, {}, ["2.jpg"]), { ...NOTHING, reused: 1 });
  assertEquals(p.read("2.txt"), "a cow\n");
  assertEquals(p.asked, ["cat", "cat", "cat", "cow"]);
});

Deno.test("what a person wrote stays, unless --overwrite, and even then if it holds more", async () => {
  using p = place({ "1.jpg": "cat", "2.jpg": "dog" });
  p.write("1.txt", "Minka\n");
  assertEquals(await p.run(), { ...NOTHING, made: 1, kept: 1 });
  assertEquals(p.read("1.txt"), "Minka\n");
  assertEquals(p.asked, ["dog"]); // nobody would have seen the other
  p.write("2.txt", "Rex\n");
  assertEquals(await p.run(), { ...NOTHING, kept: 2 });
  assertEquals(await p.run({ overwrite: true }), {
    ...NOTHING,
    made: 1,
    reused: 1,
  });
  assertEquals([p.read("1.txt"), p.read("2.txt")], ["a cat\n", "a dog\n"]);
  const foreign = '<x:xmpmeta x:xmptk="Lightroom">rating 5</x:xmpmeta>';
  p.write("1.xmp", foreign);
  p.write("1.json", '{"name": "a package"}');
  for (const kinds of [["xmp"], ["json"]] as const) {
    const io = silent();
    const tally = await p.run({ kinds, overwrite: true, io });
    assertEquals(tally, { ...NOTHING, reused: 1, failed: 1 });
    assertMatch(
      io.said,
      /it contains more than a caption of mquant; move it away/,
    );
  }
  assertEquals(p.read("1.xmp"), foreign);
  assertEquals(await p.run({ kinds: ["xmp", "json"] }), {
    ...NOTHING,
    kept: 2,
  });
});

Deno.test("a photo that fails does not stop the others; an interruption keeps nothing half", async () => {
  using p = place({ "1.jpg": "bad", "2.jpg": "dog", "3.jpg": "cow" });
  assertEquals(await p.run(), { ...NOTHING, made: 2, failed: 1 });
  using q = place({ "1.jpg": "cat", "2.jpg": "dog" });
  const io = silent();
  const caption = (bytes: Uint8Array) => {
    const text = new TextDecoder().decode(bytes);
    if (text === "dog") io.controller.abort();
    return Promise.resolve({ text, tokens: [], finish: "aborted" } as never);
  };
  await assertRejects(() => q.run({ io, caption }));
  assertEquals(q.names(), ["1.jpg", "1.txt", "2.jpg", "captions.jsonl"]);
  assertEquals(q.lines().length, 2);
});

Deno.test("what a crash left is passed over and swept away", async () => {
  using p = place({ "1.jpg": "cat", "2.jpg": "dog" });
  await p.run();
  const [first, second] = p.lines();
  p.write("captions.jsonl", `${first}\n${second.slice(0, 40)}`);
  p.write(".1.txt.4711.tmp", "half");
  p.write(".mine.4711.tmp", "not ours");
  Deno.removeSync(p.path("2.txt"));
  assertEquals(await p.run(), { ...NOTHING, made: 1, kept: 1 });
  assertEquals(p.names(), [
    ...[".mine.4711.tmp", "1.jpg", "1.txt", "2.jpg", "2.txt"],
    "captions.jsonl",
  ]);
  assertEquals(p.lines(), [first, second.slice(0, 40), second, ""]);
});

Deno.test("sidecars that would share a name are refused before anything is done", async () => {
  using p = place({ "1.jpg": "cat", "1.png": "dog" });
  const error = await assertRejects(() => p.run()) as Error;
  assertMatch(error.message, /would share one; .* --full-names/);
  assertEquals(await p.run({ fullNames: true }), { ...NOTHING, made: 2 });
  assertEquals(p.read("1.png.txt"), "a dog\n");
});

Deno.test("a link or a folder in the place of a sidecar is left alone", async () => {
  using p = place({ "1.jpg": "cat", "2.jpg": "dog" });
  p.write("victim", "precious");
  Deno.symlinkSync(p.path("victim"), p.path("1.txt"));
  Deno.mkdirSync(p.path("2.txt"));
  const io = silent();
  const tally = await p.run({ io, overwrite: true });
  assertEquals(tally, { ...NOTHING, failed: 2 });
  assertEquals(p.read("victim"), "precious");
});

Deno.test("one run at a time", async () => {
  using p = place({ "1.jpg": "cat" });
  await p.run();
  using _ = openJsonLines(p.path("captions.jsonl"));
  assertThrows(() => openJsonLines(p.path("captions.jsonl")), Error, "another");
});

Deno.test("JSON and XMP sidecars hold any caption", async () => {
  using p = place({ "1.jpg": "x" });
  const text = `5 < 6 & "7" > ]]> \u0000\u{1f408}\ud800`;
  const caption = () =>
    Promise.resolve({ text, tokens: [], finish: "stop" } as unknown as Result);
  await p.run({ kinds: ["json", "xmp"], caption });
  assertEquals(JSON.parse(p.read("1.json")).caption, text);
  const li = /<rdf:li xml:lang="x-default">(.*)<\/rdf:li>/.exec(
    p.read("1.xmp"),
  );
  assertEquals(li?.[1], `5 &lt; 6 &amp; "7" &gt; ]]&gt; \u{1f408}\ufffd`);
  assert(await p.run({ kinds: ["json", "xmp"], caption }));
});
