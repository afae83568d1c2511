/**
 * Every code block of the documents runs. TypeScript by `deno test --doc`, transcripts
 * by the other tests here; in this file each line of each `sh` block runs in a clone,
 * with exactly the flags given.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { clone } from "./clone.ts";
import { type } from "./console.ts";
import { blocksOf, commandsOf, DOCUMENTS } from "./documents.ts";

/** What is not simply typed, by a piece of its command or block. */
interface Note {
  readonly document: string;
  readonly piece: string;
  /** Not typed here, and why. */
  readonly not?: string;
  /** Goes on until it is stopped, and answers at this address meanwhile. */
  readonly answers?: string;
  /** Needs a program; where there is none, it is not typed. */
  readonly needs?: string;
  /** Needs what a clone does not have; put there beforehand. */
  readonly stands?: readonly [what: string, into: string];
  /** Is no command: written into this file, and run by this command. */
  readonly as?: readonly [file: string, command: string];
}

const MODEL = "models/photo-mini/photo-mini.w4a8.safetensors";
const CAT = "models/photo-mini/photos/cat.jpg";
const SERVED = "http://127.0.0.1:8080/health";

/** The only table of exceptions. A line that fits nothing is an error. */
const NOTES: readonly Note[] = [
  {
    document: "README.md",
    piece: "deno task test",
    not: "this test is one of those; .ci/run types it",
  },
  {
    document: "CONTRIBUTING.md",
    piece: "deno task ok",
    not: "this test is one of those; .ci/run types it",
  },
  {
    document: "README.md",
    piece: "npx --yes deno@2.9.6 task test",
    not: "the same",
  },
  {
    document: "README.md",
    piece: "npx --yes deno@2.9.6 task caption",
    stands: ['#!/bin/sh\nshift 2; exec deno "$@"\n', "bin/npx"], // no network in tests
  },
  {
    document: "README.md",
    piece: "deno task pull",
    not: "no network in tests; tests/hub/pull_test.ts pulls from a local hub",
  },
  {
    document: "README.md",
    piece: "deno task quantize smolvlm",
    not: "takes minutes; src/cli/quantize_test.ts quantizes a small checkpoint",
  },
  {
    document: "README.md",
    piece: "deno task caption --model smolvlm.w4a8.safetensors",
    stands: [MODEL, "smolvlm.w4a8.safetensors"],
  },
  {
    document: "docs/browser.md",
    piece: "deno task browser --serve",
    answers: "http://127.0.0.1:8000/",
  },
  {
    document: "docs/browser.md",
    piece: 'from "./mquant.js"',
    not: "tests/browser/browser_test.ts runs it, in Chromium",
  },
  { document: "SECURITY.md", piece: "openssl pkeyutl", needs: "openssl" },
  { document: "docs/server.md", piece: "deno task serve", answers: SERVED },
  {
    document: "docs/server.md",
    piece: "deno task serve --model my.w4a8.safetensors",
    stands: [MODEL, "my.w4a8.safetensors"],
  },
  {
    document: "docs/server.md",
    piece: "deno run --allow-read --allow-net",
    answers: SERVED,
  },
  {
    document: "docs/server.md",
    piece: 'from "openai"',
    stands: [CAT, "photo.jpg"],
    as: [
      "ask.ts",
      "deno run --quiet --allow-read --allow-env --allow-net=127.0.0.1:8080 ask.ts",
    ],
  },
  {
    document: "docs/server.md",
    piece: "export default",
    answers: SERVED,
    as: [
      "main.ts",
      "deno serve --quiet --allow-read --host 127.0.0.1 --port 8080 main.ts",
    ],
  },
  {
    document: "examples/deploy/README.md",
    piece: "deno run -A examples/deploy/main.ts",
    answers: "http://127.0.0.1:8000/",
  },
  {
    document: "examples/deploy/README.md",
    piece: "path/to/deno-2.5.7",
    stands: ['#!/bin/sh\nexec deno "$@"\n', "path/to/deno-2.5.7"], // tests/deploy has the real one in CI
  },
];

/** What commands must say, where it is not enough that they end well. */
const SAY: readonly (readonly [piece: string, said: string])[] = [
  [
    "task caption",
    blocksOf("README.md").find((b) => b.kind === "text")!.code.split("\n")[0],
  ],
  ["curl -s http", '"content":"A cat that is standing on a toilet."'],
  ["ask.ts", "A cat that is standing on a toilet."],
  ["curl --data-binary", '"caption":"A cat that is standing on a toilet."'],
  ["--verify", "match their checksums"],
  ["task sbom", '"bomFormat": "CycloneDX"'],
];

/** Blocks that are run elsewhere in the documents where they are, and output. */
const BY_THEMSELVES: Readonly<Record<string, RegExp>> = {
  text: /^/,
  json: /^/,
  ts: /^(README\.md|docs\/.*)$/, // deno test --doc
  console: /^docs\/(tour|recipes\/.*)\.md$/, // tour_test.ts, recipes_test.ts
};

const notesOf = (document: string, code: string) =>
  NOTES.filter((n) => n.document === document && code.includes(n.piece));

interface Step {
  readonly command: string;
  readonly notes: readonly Note[];
  /** A file it needs, and what is in it. */
  readonly file?: readonly [name: string, code: string];
}

/** Commands of a document in order. */
function stepsOf(document: string): Step[] {
  return blocksOf(document).flatMap(({ kind, code }) => {
    if (kind in BY_THEMSELVES) {
      assert(BY_THEMSELVES[kind].test(document), `${document}: ${code}`);
      return [];
    }
    if (kind === "sh") {
      return commandsOf(code).map((command) => ({
        command,
        notes: notesOf(document, command),
      }));
    }
    const notes = notesOf(document, code);
    const as = notes.find((n) => n.as)?.as;
    assert(as || notes.some((n) => n.not), `${document}, ${kind}: ${code}`);
    return as
      ? [{ command: as[1], notes, file: [as[0], code] as const }]
      : [{ command: "", notes }];
  });
}

const STEPS = DOCUMENTS.map((document) => ({
  document,
  steps: stepsOf(document),
})).filter(({ steps }) => steps.length > 0);

for (const { document, steps } of STEPS) {
  Deno.test({
    name: `the commands of ${document} do what they say`,
    ignore: Deno.build.os === "windows",
    async fn(t) {
      const typed: string[] = [], meant: string[] = [];
      using made = clone();
      const { folder, here } = made;
      for (const { command, notes, file } of steps) {
        const lacking = notes.find((n) => n.needs && !has(n.needs))?.needs;
        const not = notes.find((n) => n.not)?.not ??
          (lacking && `there is no ${lacking}`);
        if (not) {
          const name = `not here: ${command || "a block"} (${not})`;
          await t.step({ name, ignore: true, fn() {} });
          continue;
        }
        for (const { stands } of notes) if (stands) put(folder, ...stands);
        if (file) Deno.writeTextFileSync(`${folder}/${file[0]}`, here(file[1]));
        const answers = notes.find((n) => n.answers)?.answers;
        typed.push(here(answers ? begun(command, answers) : command));
        meant.push(command);
      }
      const said = await type([...typed, STOP], {
        cwd: folder,
        env: { NO_COLOR: "1", PATH: `${folder}/bin:${Deno.env.get("PATH")}` },
        seconds: 100,
      });
      for (const [i, command] of meant.entries()) {
        const { lines, code } = said[i], text = lines.join("");
        assertEquals(code, 0, `${command}\n${lines.join("\n")}`);
        for (const [piece, what] of SAY) {
          if (command.includes(piece)) assertStringIncludes(text, what);
        }
      }
    },
  });
}

Deno.test("every exception among the commands is one that is met", () => {
  const all = STEPS.flatMap(({ steps }) => steps);
  for (const note of NOTES) {
    assert(all.some(({ notes }) => notes.includes(note)), note.piece);
  }
  for (const [piece] of SAY) {
    assert(all.some(({ command }) => command.includes(piece)), piece);
  }
});

/** Whether a program is installed. */
function has(program: string): boolean {
  const args = ["-c", `command -v ${program}`];
  return new Deno.Command("sh", { args }).outputSync().success;
}

/** Ends what was begun last; it must still have run. */
const STOP =
  'if [ -n "${running-}" ]; then kill $running; wait $running; fi; running=';

/** Begins a command, and goes on once it answers; what was begun before ends. */
function begun(command: string, address: string): string {
  return `${STOP}
${command} > /dev/null 2>&1 & running=$!
until curl --silent --fail --output /dev/null ${address}; do
  kill -0 $running || break; sleep 0.1
done
kill -0 $running`;
}

/** Puts a file of the clone, or a program, where it is looked for. */
function put(folder: string, what: string, into: string) {
  const path = `${folder}/${into}`;
  Deno.mkdirSync(path.replace(/\/[^/]*$/, ""), { recursive: true });
  if (what.startsWith("#!")) {
    Deno.writeTextFileSync(path, what, { mode: 0o755 });
  } else Deno.copyFileSync(`${folder}/${what}`, path);
}
