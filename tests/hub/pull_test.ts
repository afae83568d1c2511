/** `pull` as a process, from a local hub. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawn } from "../hostile_cli/run.ts";
import { COMMIT, type Hub, serveHub } from "./hub.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const FILES = {
  "README.md": encode("# A model\n"),
  "config.json": encode('{"model_type": "toy"}'),
  "model.safetensors": Uint8Array.from(
    { length: 300_000 },
    (_, i) => Math.imul(i, 0x9e3779b1) >>> 24,
  ),
  "tokenizer.json": encode("{}".padEnd(2000)),
  "empty.json": new Uint8Array(0),
  "merges.txt": encode("#version: 0.2\n"),
  "tokenizer.model": encode("a vocabulary"),
  "words.tiktoken": encode("YQ== 0\n"),
  "onnx/model.onnx": encode("not needed"),
};
const NEEDED = Object.keys(FILES).filter((f) => !f.startsWith("onnx/"));

async function withHub(
  work: (place: {
    hub: Hub;
    folder: string;
    pull(
      ...args: string[]
    ): Promise<{ code: number; out: string; err: string }>;
  }) => Promise<void>,
) {
  await using hub = serveHub(FILES);
  const root = await Deno.makeTempDir(), folder = `${root}/toy`;
  const text = (b: Uint8Array) => new TextDecoder().decode(b);
  try {
    await work({
      hub,
      folder,
      async pull(...args) {
        const offline = args.includes("--offline");
        const child = spawn(
          // the bytes below are no checkpoint: nothing is checked
          ["pull", "--force", "--to", folder, "--hub", hub.url, ...args],
          "null",
          [
            ...[`--allow-read`, `--allow-write=${folder}`],
            ...(offline ? [] : [`--allow-net=${new URL(hub.url).host}`]),
          ],
        );
        const { code, stdout, stderr } = await child.output();
        return { code, out: text(stdout), err: text(stderr) };
      },
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function holds(folder: string, names: readonly string[]) {
  const there: string[] = [];
  for await (const { name } of Deno.readDir(folder)) there.push(name);
  assertEquals(there.sort(), [...names, "pulled.json"].sort());
  for (const name of names) {
    const bytes = await Deno.readFile(`${folder}/${name}`);
    assertEquals(bytes, FILES[name as keyof typeof FILES], name);
  }
}

Deno.test("a checkpoint is pulled whole, a second time nothing, offline it is checked", () =>
  withHub(async ({ hub, folder, pull }) => {
    const first = await pull("owner/name", "--json");
    assertEquals([first.code, first.err], [0, ""]);
    const { commit, fetched, files } = JSON.parse(first.out);
    assertEquals([commit, fetched, files.length], [COMMIT, 8, 8]);
    await holds(folder, NEEDED);
    const requests = hub.asked.length;
    const second = await pull("owner/name");
    assertMatch(
      second.out,
      /8 files, 302\.1 kB, of owner\/name at 5f0c8ef65d3d/,
    );
    // Commit and listing alone: no file is asked for.
    assertEquals(hub.asked.length - requests, 3);
    const offline = await pull("owner/name", "--offline");
    assertEquals([offline.code, offline.err], [0, ""]);
    assertEquals(hub.asked.length - requests, 3);
    await Deno.writeTextFile(`${folder}/config.json`, '{"model_type": "tox"}');
    const damaged = await pull("owner/name", "--offline");
    assertEquals(damaged.code, 1);
    assertMatch(damaged.err, /"config\.json" missing or damaged; pull again/);
    assertEquals((await pull("owner/name")).code, 0);
    await holds(folder, NEEDED);
    const other = await pull("owner/other", "--offline");
    assertMatch(other.err, /does not list it; pull it once without/);
  }));

Deno.test("a line that breaks is taken up where it broke, also by another run", () =>
  withHub(async ({ hub, folder, pull }) => {
    hub.faults.cut = { after: 100_000, times: 2 };
    const patient = await pull("owner/name");
    assertEquals(patient.code, 0, patient.err);
    assertMatch(
      patient.err,
      /trying again \(1 of 3\)\n.*trying again \(2 of 3\)/,
    );
    await holds(folder, NEEDED);
    const ranges = () =>
      hub.asked.filter((a) => /cdn\/model\.safe/.test(a))
        .map((a) => a.split("bytes=")[1]);
    assert(ranges().some((r) => /^[1-9]\d{4,}-/.test(r)), `${ranges()}`);
    await Deno.remove(`${folder}/model.safetensors`);
    hub.faults.cut = { after: 50_000, times: 4 };
    const broken = await pull("owner/name");
    assertEquals(broken.code, 1);
    assertMatch(broken.err, /Cannot pull/);
    const part = `${folder}/.model.safetensors.part`;
    const { size } = await Deno.stat(part);
    assert(size > 0 && size < 300_000, `${size} bytes are there`);
    hub.asked.length = 0;
    assertEquals((await pull("owner/name")).code, 0);
    assert(ranges().some((r) => r.startsWith(`${size}-`)), `${ranges()}`);
    await holds(folder, NEEDED);
  }));

Deno.test("bytes with another hash are thrown away; names and links that lead elsewhere are refused", () =>
  withHub(async ({ hub, folder, pull }) => {
    hub.faults.corrupt = true;
    const corrupt = await pull("owner/name");
    assertEquals(corrupt.code, 1);
    assertMatch(
      corrupt.err,
      /its hash differs from the hub's; .* run the same command again\n$/,
    );
    for await (const { name } of Deno.readDir(folder)) {
      assert(!/safetensors/.test(name), name);
    }
    hub.faults.corrupt = false;
    for (
      const evil of [
        "../evil.json",
        "/etc/evil.json",
        "a/../../e.json",
        "C:\\e.json",
      ]
    ) {
      hub.faults.evil = [evil];
      const { code, err } = await pull("owner/name", evil);
      assertEquals(code, 1);
      assertMatch(err, /it is not a path below the folder/);
    }
    hub.faults.evil = [];
    await Deno.symlink("/etc", `${folder}/onnx`);
    const link = await pull("owner/name", "onnx/model.onnx");
    assertEquals(link.code, 1);
    assertMatch(link.err, /onnx": it is a symbolic link; remove it/);
  }));

Deno.test("patterns, tokens, and names that are none", () =>
  withHub(async ({ folder, pull }) => {
    assertEquals(
      (await pull("owner/name", "onnx/*.onnx", "empty.json")).code,
      0,
    );
    assertEquals(
      await Deno.readFile(`${folder}/onnx/model.onnx`),
      FILES["onnx/model.onnx"],
    );
    const cases: [string[], number, RegExp][] = [
      [["owner/none"], 1, /owner\/none at "main": the hub has none; check/],
      [["owner/name", "--revision=v9"], 1, /at "v9": the hub has none/],
      [
        ["owner/name", "*.gguf"],
        1,
        /it has no "\*\.gguf"; see its list of files/,
      ],
      [["owner/gated"], 1, /--token-file/],
      [["name"], 2, /must be OWNER\/NAME/],
      [["../name"], 2, /must be OWNER\/NAME/],
    ];
    for (const [args, code, want] of cases) {
      const outcome = await pull(...args);
      assertEquals(outcome.code, code, outcome.err);
      assertMatch(outcome.err, want);
      assertEquals(outcome.err.trim().split("\n").length, 1);
    }
    const token = `${folder}/token`;
    await Deno.writeTextFile(token, "hf_right\n");
    const right = await pull("owner/gated", `--token-file=${token}`);
    assertEquals(right.code, 0, right.err);
  }));
