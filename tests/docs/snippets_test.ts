/**
 * Every block of code in README and docs/ is run: TypeScript by `deno test
 * --doc`, transcripts by the tests beside this one, the rest here, or by what
 * is named here.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ROOT } from "../hostile_cli/run.ts";

interface Block {
  readonly document: string;
  /** What follows the fence: "sh", "ts ignore". */
  readonly kind: string;
  readonly code: string;
}

function documents(folder: string): string[] {
  return [...Deno.readDirSync(ROOT + folder)].flatMap((e) =>
    e.isDirectory
      ? documents(`${folder}${e.name}/`)
      : e.name.endsWith(".md")
      ? [folder + e.name]
      : []
  );
}

const blocks: Block[] = ["README.md", ...documents("docs/")].flatMap((
  document,
) =>
  [
    ...Deno.readTextFileSync(ROOT + document).matchAll(
      /^```(.+)\n([^]*?)^```$/gm,
    ),
  ].map(([, kind, code]) => ({ document, kind, code }))
);

/** Output, and what runs by itself: `deno test --doc`, transcripts (recipes_test.ts, tour_test.ts). */
const BY_THEMSELVES = /^(text|json|ts|js|console)$/;

/** The others, by a piece of their code: who runs them. "here" is below. */
const RUN: readonly [document: string, piece: string, by: string][] = [
  ["README.md", "deno task caption models", ".ci/run"],
  ["README.md", "npx --yes deno@", ".ci/run"],
  ["docs/browser.md", "deno task browser", "tests/browser/browser_test.ts"],
  ["docs/browser.md", 'from "./mquant.js"', "tests/browser/browser_test.ts"],
  ["docs/server.md", "deno task serve ", "tests/server/commands_test.ts"],
  ["docs/server.md", "deno run --allow-read --allow-net", "here"],
  ["docs/server.md", "curl -s", "here"],
  ["docs/server.md", 'from "openai"', "here"],
  ["docs/server.md", "export default", "here"],
  ["docs/server.md", "deno task chat", "here"],
];

Deno.test("every block of code in the documents is run by something", () => {
  const others = blocks.filter(({ kind }) => !BY_THEMSELVES.test(kind));
  const unknown = others.filter(({ document, code }) =>
    !RUN.some(([d, piece]) => d === document && code.includes(piece))
  );
  assertEquals(unknown, []);
  for (const [document, piece, by] of RUN) {
    assert(
      others.some((b) => b.document === document && b.code.includes(piece)),
      `${document} has no ${piece}`,
    );
    if (by !== "here") assert(Deno.statSync(ROOT + by).isFile, by);
  }
});

const snippet = (piece: string) =>
  blocks.find(({ document, code }) =>
    document === "docs/server.md" && code.includes(piece)
  )!.code;

/** Port that was free a moment ago. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Runs `work` while a shell runs `command`, which must answer at /health. */
async function during(
  command: string,
  port: number,
  work: () => Promise<void>,
): Promise<void> {
  const child = new Deno.Command("bash", {
    args: ["-c", `exec ${command.trim()}`],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const ended = child.status;
  try {
    for (let i = 0;; i++) {
      const up = await fetch(`http://127.0.0.1:${port}/health`).then(
        async (r) => (await r.body?.cancel(), r.ok),
        () => false,
      );
      if (up) break;
      assert(i < 300, `${command} does not answer`);
      await new Promise((done) => setTimeout(done, 100));
    }
    await work();
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
}

async function said(command: string, args: string[], cwd = ROOT) {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert(success, text(stderr));
  return text(stdout);
}

const CAT = "A tabby cat is biting a cat.";

Deno.test({
  name:
    "docs/server.md: the server as it is started there answers curl and the official client as they ask there",
  ignore: Deno.build.os === "windows",
  async fn() {
    const port = freePort(), folder = await Deno.makeTempDir();
    const here = (code: string) => code.replaceAll("8080", `${port}`);
    try {
      const [command] = snippet("deno run --allow-read").trim().split("\n");
      await during(
        `${here(command)} --port ${port} --quiet`,
        port,
        async () => {
          const answer = await said("bash", ["-c", here(snippet("curl -s"))]);
          assertEquals(JSON.parse(answer).choices[0].message.content, CAT);
          await Deno.copyFile(
            `${ROOT}models/flickr-mini/photos/cat.jpg`,
            `${folder}/photo.jpg`,
          );
          await Deno.writeTextFile(
            `${folder}/ask.ts`,
            here(snippet('from "openai"')),
          );
          const words = await said("deno", [
            ...["run", "--quiet", "--no-check", "--config", `${ROOT}deno.json`],
            ...["--allow-read", "--allow-env", `--allow-net=127.0.0.1:${port}`],
            "ask.ts",
          ], folder);
          assertEquals(words.replaceAll("\n", ""), CAT);
        },
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "docs/server.md: the handler of its own program serves, by deno serve",
  ignore: Deno.build.os === "windows",
  async fn() {
    const port = freePort(), folder = await Deno.makeTempDir();
    const at = (path: string) => new URL(path, `file://${ROOT}`).href;
    try {
      const code = snippet("export default")
        .replace('"@mquant/mquant"', JSON.stringify(at("src/mod.ts")))
        .replace(
          '"@mquant/mquant/server"',
          JSON.stringify(at("src/server/mod.ts")),
        )
        .replace('"models/', JSON.stringify(`${ROOT}models/`).slice(0, -1));
      await Deno.writeTextFile(`${folder}/main.ts`, code);
      const command =
        `deno serve --quiet --no-check --config deno.json --allow-read --host 127.0.0.1 --port ${port} ${folder}/main.ts`;
      await during(command, port, async () => {
        const models = await fetch(`http://127.0.0.1:${port}/v1/models`);
        assertEquals((await models.json()).data[0].id, "flickr-mini");
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("docs/server.md: chat begins with a photo and ends with its input", async () => {
  const words = snippet("deno task chat").trim().split(" ");
  assertMatch(await said(words[0], words.slice(1)), /^$/);
});
