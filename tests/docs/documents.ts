/**
 * The documents and their code blocks.
 * @module
 */
import { ROOT } from "../hostile_cli/run.ts";

/** A block of code between fences. */
export interface Block {
  /** Path of its document from the root. */
  readonly document: string;
  /** What follows the fence: "sh", "ts ignore". */
  readonly kind: string;
  /** What stands between the fences. */
  readonly code: string;
}

/** Documents with commands outside of docs/. */
const OTHERS = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "examples/deploy/README.md",
  "models/photo-mini/CARD.md",
];

function below(folder: string): string[] {
  return [...Deno.readDirSync(ROOT + folder)].flatMap((e) =>
    e.isDirectory
      ? below(`${folder}${e.name}/`)
      : e.name.endsWith(".md")
      ? [folder + e.name]
      : []
  ).sort();
}

/** Paths of all documents. */
export const DOCUMENTS: readonly string[] = [...OTHERS, ...below("docs/")];

/** The blocks of a document, in order. */
export function blocksOf(document: string): Block[] {
  const text = Deno.readTextFileSync(ROOT + document);
  return [...text.matchAll(/^```(.+)\n([^]*?)^```$/gm)]
    .map(([, kind, code]) => ({ document, kind, code }));
}

/**
 * The commands of a block of shell, a line each but where one goes on: after a
 * backslash, an open quotation mark, a pipe. Comments at their ends are left out.
 */
export function commandsOf(code: string): string[] {
  const commands: string[] = [];
  let open = "";
  for (const line of code.trimEnd().split("\n")) {
    open += open === "" ? line : `\n${line}`;
    if (!isWhole(open)) continue;
    commands.push(open.replace(/\s+# .*$/, ""));
    open = "";
  }
  if (open !== "") throw new Error(`a command without an end: ${open}`);
  return commands;
}

function isWhole(command: string): boolean {
  if (/[\\|]$/.test(command)) return false;
  const quotes = command.replaceAll(/\\./g, "").match(/'[^']*'?|"[^"]*"?/g);
  return (quotes ?? []).every((q) => q.length > 1 && q.at(-1) === q[0]);
}
