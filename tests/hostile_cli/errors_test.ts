/**
 * Wrong files and wrong arguments: one sentence, the right exit code, no stack trace.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { bundledModel, type Outcome, ROOT, run, spawn } from "./run.ts";

const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const PHOTO = "models/photo-mini/photos/photographer.jpg";
const model = bundledModel();
const skip = { ignore: model === undefined }; // no model is bundled yet

function write(name: string, bytes: Uint8Array | string): string {
  const path = `${folder}/${name}`;
  if (typeof bytes === "string") Deno.writeTextFileSync(path, bytes);
  else Deno.writeFileSync(path, bytes);
  return path;
}

/** One sentence that names the value and a next step, and nothing else. */
function assertSentence({ err, out }: Outcome, value: string | RegExp) {
  assertEquals(out, "");
  const line = err.trimEnd();
  assert(!line.includes("\n"), `more than one line:\n${err}`);
  assert(line.startsWith("Cannot "), line);
  assertMatch(
    line,
    typeof value === "string" ? new RegExp(literal(value)) : value,
  );
  assertMatch(line, /; .+|\?$/, `no next step: ${line}`);
  assert(!/\bat (file|async)|\.ts:\d|Uncaught|TypeError/.test(line), line);
}

const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** A PNG that claims to be 30000×30000 and holds next to nothing. */
function hugePng(): Uint8Array {
  const chunk = (type: string, data: number[]) => {
    const named = [...new TextEncoder().encode(type), ...data];
    return [...u32(data.length), ...named, ...u32(crc32(named))];
  };
  return Uint8Array.from([
    ...[137, 80, 78, 71, 13, 10, 26, 10],
    ...chunk("IHDR", [...u32(30000), ...u32(30000), 8, 2, 0, 0, 0]),
    ...chunk("IDAT", [0x78, 0x9c, 3, 0, 0, 0, 0, 1]),
    ...chunk("IEND", []),
  ]);
}

const u32 = (n: number) => [n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255];

function crc32(bytes: readonly number[]): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

Deno.test("an unknown command, flag or value is answered with the nearest", async () => {
  const cases: [string[], RegExp][] = [
    [["captoin"], /"captoin".*did you mean caption\?/],
    [["frobnicate"], /"frobnicate".*--help/],
    [["caption", "--thread", "2", PHOTO], /--thread; did you mean --threads\?/],
    [["caption", "--frob", PHOTO], /--frob; see `mquant caption --help`/],
    [["caption"], /needs PHOTO\|FOLDER\.\.\..*--help/],
    [["caption", "--threads=0", PHOTO], /--threads must be .*1 to 64.*"0"/],
    [["caption", "--threads", "two", PHOTO], /--threads must be .*"two"/],
    [
      ["caption", "--model", "--json", PHOTO],
      /--model needs a value, FILE; write --model=FILE/,
    ],
    [["caption", "--json=yes", PHOTO], /--json takes no value.*"yes"/],
    [["show", "a", "b"], /takes \[FILE\]: "b" is one too many/],
    [
      ["quantize", "x", "--recipe", "w4a9"],
      /--recipe must be w4a8 or .*"w4a9".*w4a8\?/,
    ],
    [["quantize", "x"], /--calibration is missing; /],
    [
      ["bench", "--only=frob", "--rounds=1"],
      /--only "frob": no kernel.*; run without --only/,
    ],
  ];
  await Promise.all(cases.map(async ([args, want]) => {
    const outcome = await run(args);
    assertEquals(outcome.code, 2, `${args.join(" ")}\n${outcome.err}`);
    assertEquals(outcome.out, "");
    assertMatch(outcome.err, want);
    assertEquals(outcome.err.trimEnd().split("\n").length, 1);
  }));
});

Deno.test("a missing photo", async () => {
  const outcome = await run(["caption", "no/such.jpg"]);
  assertEquals(outcome.code, 1);
  assertSentence(outcome, '"no/such.jpg"');
});

Deno.test("a missing model", async () => {
  const outcome = await run([
    "caption",
    "--model",
    "no/such.safetensors",
    PHOTO,
  ]);
  assertEquals(outcome.code, 1);
  assertSentence(outcome, '"such.safetensors"');
});

Deno.test("a folder without photos, a link, a kind of sidecar that is none", async () => {
  const empty = `${folder}/empty`, link = `${folder}/link.jpg`;
  Deno.mkdirSync(empty);
  Deno.symlinkSync(`${ROOT}${PHOTO}`, link);
  const cases: [string[], number, RegExp][] = [
    [[empty], 1, /there is no JPEG, PNG or WebP in it; check/],
    [[link], 1, /symbolic link.*; give its target/],
    [[PHOTO, "--sidecar=text"], 2, /txt, json, xmp.*"text".*mean txt\?/],
    [["-", "--sidecar=txt"], 2, /stdin has no name; /],
    [[PHOTO, "--journal=no/j"], 1, /write access .* with --allow-write/],
  ];
  for (const [args, code, want] of cases) {
    const outcome = await run(["caption", ...args]);
    assertEquals(outcome.code, code, outcome.err);
    assertSentence(outcome, want);
  }
});

Deno.test("a damaged photo is called by its name, alone, in a folder and on a page", async () => {
  const place = `${folder}/damaged`;
  Deno.mkdirSync(place);
  const photo = Deno.readFileSync(`${ROOT}${PHOTO}`).subarray(0, 500);
  Deno.writeFileSync(`${place}/cut.jpg`, photo);
  Deno.writeTextFileSync(`${place}/page.md`, "![](cut.jpg)\n");
  const flags = ["--allow-read", `--allow-write=${place}`];
  for (
    const args of [
      [`${place}/cut.jpg`],
      [place, "--sidecar=txt"],
      [`${place}/page.md`, "--alt-text"],
    ]
  ) {
    const { code, stderr } = await spawn(["caption", ...args], "null", flags)
      .output();
    const [first] = new TextDecoder().decode(stderr).split("\n");
    assertEquals(code, 1);
    assertEquals(
      first,
      `Cannot decode "${place}/cut.jpg": the file is truncated; copy it again`,
    );
  }
});

Deno.test("no leave to read", async () => {
  const { code, stdout, stderr } = await new Deno.Command("deno", {
    args: ["run", "--no-prompt", "src/cli/main.ts", "caption", PHOTO],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(code, 1);
  const [out, err] = [stdout, stderr].map((b) => new TextDecoder().decode(b));
  assertSentence(
    { code, out, err },
    /read access to .*; run again with --allow-read/,
  );
});

Deno.test("a float checkpoint as a model", async () => {
  const header = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
  const bytes = new Uint8Array(8 + header.length + 4);
  new DataView(bytes.buffer).setUint32(0, header.length, true);
  bytes.set(new TextEncoder().encode(header), 8);
  const path = write("float.safetensors", bytes);
  const outcome = await run(["caption", "--model", path, PHOTO]);
  assertEquals(outcome.code, 1);
  assertSentence(outcome, /"float\.safetensors".*deno task quantize/);
});

Deno.test("a text file as a model", async () => {
  const path = write("words.safetensors", "these are only words, not a model");
  const outcome = await run(["show", path]);
  assertEquals(outcome.code, 1);
  assertSentence(outcome, '"words.safetensors"');
});

Deno.test("a checkpoint that is none", async () => {
  const common = [
    "--calibration",
    folder,
    "--out",
    `${folder}/out.safetensors`,
  ];
  const nowhere = await run(["quantize", "no/such/folder", ...common]);
  assertEquals(nowhere.code, 1);
  assertSentence(nowhere, '"no/such/folder"');
  const empty = await run(["quantize", folder, ...common]);
  assertEquals(empty.code, 1);
  assertSentence(empty, /config\.json.*download the whole checkpoint/);
});

Deno.test({
  name: "a truncated model",
  ...skip,
  async fn() {
    const bytes = Deno.readFileSync(model!);
    const path = write("cut.safetensors", bytes.subarray(0, bytes.length >> 1));
    const outcome = await run(["caption", "--model", path, PHOTO]);
    assertEquals(outcome.code, 1);
    assertSentence(outcome, /"cut\.safetensors".*truncated.*copy it again/);
  },
});

Deno.test({
  name:
    "a text file called .jpg, a PNG header of 30000×30000, an empty and a cut JPEG",
  ...skip,
  async fn() {
    const jpeg = Deno.readFileSync(PHOTO);
    const cases: [string, Uint8Array | string, RegExp][] = [
      ["words.jpg", "these are only words", /words\.jpg/],
      ["huge.png", hugePng(), /huge\.png.*30000.*30000/],
      ["header.png", hugePng().subarray(0, 33), /header\.png/],
      ["empty.jpg", "", /empty\.jpg/],
      ["cut.jpg", jpeg.subarray(0, 300), /cut\.jpg/],
    ];
    for (const [name, bytes, want] of cases) {
      const outcome = await run(["caption", write(name, bytes)]);
      assertEquals(outcome.code, 1, `${name}: ${outcome.err}`);
      assertSentence(outcome, want);
    }
  },
});

Deno.test({
  name:
    "a bad photo among good ones does not stop them, and is told by exit code 3",
  ...skip,
  async fn() {
    const bad = write("bad.jpg", "words");
    const { code, out, err } = await run(["caption", "--quiet", bad, PHOTO]);
    assertEquals(code, 3);
    assertMatch(
      out,
      /^models\/photo-mini\/photos\/photographer\.jpg\t[^\n]+\n$/,
    );
    assertMatch(err, /^Cannot .*bad\.jpg.*\n$/);
  },
});
