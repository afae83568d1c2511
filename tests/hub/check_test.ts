/**
 * `check` and `pull` of checkpoints on a local hub: unusable ones are refused before
 * their weights are downloaded.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { check } from "../../src/convert/check.ts";
import { spawn } from "../hostile_cli/run.ts";
import { type Hub, serveHub } from "./hub.ts";

const TOY = new URL("../golden/qwen2-toy/", import.meta.url);
const MOONDREAM = new URL("../golden/moondream-toy/", import.meta.url);

/** A toy's files, some changed (undefined: left out). */
function toyFiles(
  changes: Record<string, string | Uint8Array | undefined> = {},
  toy = TOY,
): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  for (const { name } of Deno.readDirSync(toy)) {
    files[name] = Deno.readFileSync(new URL(name, toy));
  }
  for (const [name, change] of Object.entries(changes)) {
    if (change === undefined) delete files[name];
    else {
      files[name] = typeof change === "string"
        ? new TextEncoder().encode(change)
        : change;
    }
  }
  return files;
}

async function run(command: string, hub: Hub, ...args: string[]) {
  const folder = await Deno.makeTempDir();
  try {
    const child = spawn(
      [
        ...[command, ...args, "--hub", hub.url, "owner/name"],
        ...(command === "pull" ? ["--to", `${folder}/toy`] : []),
      ],
      "null",
      ["--allow-read", `--allow-write=${folder}`, "--allow-net"],
    );
    const { code, stdout, stderr } = await child.output();
    const text = (b: Uint8Array) => new TextDecoder().decode(b);
    return { code, out: text(stdout), err: text(stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Ranges of weights that were asked for. */
const asked = (hub: Hub) => hub.asked.filter((a) => a.includes("safetensors"));

Deno.test("check of OWNER/NAME finds what check of its folder finds, from the header alone", async () => {
  await using hub = serveHub(toyFiles());
  const { code, out, err } = await run("check", hub, "--json", "--threads=1");
  assertEquals([code, err], [0, ""]);
  const { seconds: _, ...found } = JSON.parse(out);
  const { seconds: __, ...want } = await check("tests/golden/qwen2-toy", {
    threads: 1,
  });
  assertEquals(found, JSON.parse(JSON.stringify(want)));
  assert(
    asked(hub).every((a) => /bytes=0-(0|65535)$/.test(a)),
    `${asked(hub)}`,
  );
});

Deno.test("pull of what cannot be used ends before the weights, with the reason", async () => {
  const config = JSON.parse(
    Deno.readTextFileSync(new URL("config.json", TOY)),
  );
  const cases: [Record<string, string | undefined>, RegExp][] = [
    [
      { "config.json": JSON.stringify({ ...config, model_type: "whisper" }) },
      /model_type "whisper": known are/,
    ],
    [{ "tokenizer.json": undefined }, /missing tokenizer\.json, or/],
    [
      { "model.safetensors": undefined, "pytorch_model.bin": "a program" },
      /pytorch_model\.bin.*convert it once/,
    ],
  ];
  for (const [changes, want] of cases) {
    await using hub = serveHub(toyFiles(changes));
    for (const command of ["check", "pull"]) {
      const { code, err } = await run(command, hub);
      assertEquals(code, 1, err);
      assertMatch(err, want);
      assertEquals(err.trim().split("\n").length, 1, err);
    }
    assert(
      asked(hub).every((a) => /bytes=0-(0|65535)$/.test(a)),
      `${asked(hub)}`,
    );
  }
});

Deno.test("moondream's tokenizer is fetched from its own repository, and stands before the older one", async () => {
  const own = Deno.readFileSync(new URL("tokenizer.json", MOONDREAM));
  const older = JSON.parse(new TextDecoder().decode(own));
  older.added_tokens = older.added_tokens.slice(1); // without <|endoftext|>
  const files = toyFiles(
    { "tokenizer.json": JSON.stringify(older) },
    MOONDREAM,
  );
  {
    await using hub = serveHub(files, {
      "moondream/starmie-v1": { "tokenizer.json": own },
    });
    const checked = await run("check", hub);
    assertEquals([checked.code, checked.err], [0, ""]);
    const pulled = await run("pull", hub, "--json");
    assertEquals([pulled.code, pulled.err], [0, ""]);
    const paths = JSON.parse(pulled.out).files.map(
      ({ path }: { path: string }) => path,
    );
    assert(paths.includes("starmie-v1.json") && paths.includes("config.json"));
  }
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    assertMatch(
      (await check(folder)).reason!,
      /older tokenizer.*tokenizer\.json of moondream\/starmie-v1 as starmie-v1\.json/,
    );
    await Deno.writeFile(`${folder}/starmie-v1.json`, own);
    assertEquals((await check(folder)).reason, undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("moondream3 is refused by name, though its model_type is moondream2's", async () => {
  const names = ["model.text.blocks.4.mlp.router.weight", "model.text.wte"];
  const index = JSON.stringify({
    weight_map: Object.fromEntries(names.map((n) => [n, "a.safetensors"])),
  });
  const folder = await Deno.makeTempDir();
  try {
    const files = toyFiles({ "model.safetensors": undefined }, MOONDREAM);
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    await Deno.writeTextFile(`${folder}/model.safetensors.index.json`, index);
    assertMatch((await check(folder)).reason!, /one of moondream3, a mixture/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
