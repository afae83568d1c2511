/**
 * Only model descriptions depend on a family: no pass, planner, kernel or graph code
 * does. Descriptions stay short, and `deno task new:model` writes a valid one.
 */
import { assert, assertEquals } from "@std/assert";
import { floatTensor } from "../../src/format/safetensors.ts";
import { openCheckpoint } from "../../src/format/checkpoint.ts";
import type { Checkpoint } from "../../src/models/checkpoint.ts";
import { describe, FAMILY_TYPES } from "../../src/models/mod.ts";
import type { Model } from "../../src/graph/node.ts";
import { skeleton } from "../../tools/new_model.ts";

const ROOT = new URL("../../", import.meta.url);

/** Rooms that see every family through its graph alone. */
const BLIND = [
  "src/graph",
  "src/quantize",
  "src/kernels",
  "src/plan",
  "src/execute",
];

/** Sources below a folder, tests and generated files left out. */
function* sources(folder: string): Generator<[string, string]> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
    const path = `${folder}/${name}`;
    if (isDirectory) {
      if (name !== "generated") yield* sources(path);
    } else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) {
      yield [path, Deno.readTextFileSync(new URL(path, ROOT))];
    }
  }
}

/** Names of a family as code would ask for it: in quotes. */
const named = new RegExp(`["'\`](${FAMILY_TYPES.join("|")})["'\`]`);

/** Comments may say where an idea comes from. */
const code = (text: string) =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/\/\/.*$/gm, "");

Deno.test("no pass, planner, kernel or graph imports a family or asks for its name", () => {
  let files = 0;
  for (const folder of [...BLIND, "kernels"]) {
    for (const [path, text] of sources(folder)) {
      files++;
      assert(!/from "[./]*models\//.test(text), `${path} imports a family`);
      const name = named.exec(code(text))?.[1];
      assertEquals(name, undefined, `${path} asks for ${name}`);
    }
  }
  assert(files > 100, `${files} files`);
  assert(named.test('if (info.architecture === "qwen2_vl")'), "it can fail");
});

Deno.test("an average description has at most 250 lines", () => {
  const lines = [...sources("src/models")]
    .filter(([, text]) => /\): Model \{/.test(text) && !/mod\.ts/.test(text))
    .map(([path, text]) => [path, text.split("\n").length] as const)
    .filter(([path]) => !path.endsWith("/mod.ts"));
  assert(lines.length >= 8, `${lines.length} descriptions`);
  const mean = lines.reduce((sum, [, n]) => sum + n, 0) / lines.length;
  assert(mean <= 250, `${mean} lines on average: ${lines.join(" ")}`);
});

Deno.test("what new:model writes describes a checkpoint as it stands", async () => {
  const files = skeleton("newcomer");
  assertEquals(Object.keys(files), [
    "src/models/newcomer.ts",
    "tools/golden/newcomer.py",
    "models/newcomer.md",
  ]);
  const here = new URL("src/models/", ROOT);
  const text = files["src/models/newcomer.ts"].replaceAll(
    /from "(\.[^"]*)"/g,
    (_, path) => `from "${new URL(path, here)}"`,
  );
  const path = Deno.makeTempFileSync({ suffix: ".ts" });
  Deno.writeTextFileSync(path, text);
  try {
    const made: { newcomer(checkpoint: Checkpoint): Model } = await import(
      `file://${path}`
    );
    const folder = new URL("tests/golden/smolvlm-toy/", ROOT).pathname;
    const config = JSON.parse(Deno.readTextFileSync(`${folder}config.json`));
    using file = openCheckpoint(folder);
    const tensors = new Map(
      [...file.tensors].map(([name, stored]) => [name, floatTensor(stored)]),
    );
    const got = made.newcomer({ config, tensors });
    const want = describe({ config, tensors });
    assertEquals(got.nodes, want.nodes);
    assertEquals([...got.params.keys()], [...want.params.keys()]);
  } finally {
    Deno.removeSync(path);
  }
});
