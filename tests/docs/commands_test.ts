/**
 * Command lines in documents: each `sh` and `console` line that calls mquant, a
 * task or a program of the repository is one that would be understood. What
 * they do is tested where they are at home (docs/tour.md is typed as a whole).
 */
import { assert, assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { parse } from "../../src/cli/command.ts";
import { load } from "../../src/cli/commands.ts";
import { ROOT } from "../hostile_cli/run.ts";

const FOLDERS = [
  "",
  "docs/",
  "docs/recipes/",
  "models/flickr-mini/",
  "examples/deploy/",
];

/** Lines of `sh` and `console` blocks of a document, continued ones joined. */
function commands(markdown: string): string[] {
  const lines: string[] = [];
  for (
    const [, kind, block] of markdown.matchAll(
      /^```(sh|console)\n(.*?)^```$/gms,
    )
  ) {
    for (const line of block.replaceAll("\\\n", " ").split("\n")) {
      if (kind === "sh") lines.push(line);
      else if (line.startsWith("$ ")) lines.push(line.slice(2));
    }
  }
  return lines;
}

/** The words of a line up to a pipe, a redirection or a comment, quotes taken away. */
function words(line: string): string[] {
  const all = line.match(/'[^']*'|"[^"]*"|[^\s'"]+(?:"[^"]*"|'[^']*')?/g) ?? [];
  const end = all.findIndex((w) => /^([|&;<>]|#|\d?>)/.test(w));
  return all.slice(0, end < 0 ? undefined : end)
    .map((w) => w.replace(/;$/, "").replaceAll(/['"]/g, ""));
}

/** The command and what follows it, where a line calls mquant. */
function called(line: string): string[] | undefined {
  const [first, ...rest] = words(line.replace(/^npx --yes deno@\S+/, "deno"));
  if (first === "mquant") return rest;
  if (first !== "deno") return undefined;
  if (rest[0] === "task") {
    const task = config.tasks[rest[1] as keyof typeof config.tasks];
    assert(task, `there is no task ${rest[1]}: ${line}`);
    const [, own] = /src\/cli\/main\.ts ?(.*)$/.exec(task.command) ?? [];
    return own === undefined ? undefined : [...words(own), ...rest.slice(2)];
  }
  const at = rest.findIndex((w) => w.endsWith("src/cli/main.ts"));
  return rest[0] === "run" && at > 0 ? rest.slice(at + 1) : undefined;
}

Deno.test("every command line in the documents is understood", async () => {
  let count = 0;
  const programs: string[] = [];
  for (const folder of FOLDERS) {
    for (const { name } of Deno.readDirSync(`${ROOT}${folder}`)) {
      if (!name.endsWith(".md")) continue;
      const document = `${folder}${name}`;
      for (const line of commands(Deno.readTextFileSync(ROOT + document))) {
        const args = called(line);
        if (/^deno run /.test(line)) {
          programs.push(
            ...line.match(/\b(src|tools|examples)\/[\w/.]+\.ts/g) ?? [],
          );
        }
        if (!args || args.length === 0 || args[0].startsWith("--")) continue;
        const command = await load(args[0]);
        assert(command, `${document}: there is no command ${args[0]}: ${line}`);
        parse(command, args.slice(1)); // throws where it is not understood
        count++;
      }
    }
  }
  assert(count > 15, `${count} command lines were found`);
  for (const program of programs) {
    assertEquals(Deno.statSync(ROOT + program).isFile, true, program);
  }
});
