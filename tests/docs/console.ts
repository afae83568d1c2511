/**
 * Transcripts in documents, typed again: blocks marked `console`, where a line
 * that begins with `$` is typed into a shell, with the lines behind it that begin
 * with `>`, and what follows is what it says, on stdout and stderr together.
 * @module
 */

/** A line that is typed, and what it says. */
export interface Typed {
  /** The command. */
  readonly command: string;
  /** Lines it says. */
  readonly says: readonly string[];
  /** Whether its numbers may differ: its command ends with `# numbers vary`. */
  readonly loose: boolean;
}

/** What all `console` blocks of a document type, in order. */
export function transcript(markdown: string): Typed[] {
  const typed: { command: string; says: string[]; loose: boolean }[] = [];
  for (const [, block] of markdown.matchAll(/^```console\n(.*?)^```$/gms)) {
    for (const line of block.trimEnd().split("\n")) {
      if (line.startsWith("$ ")) {
        const command = line.slice(2);
        const loose = /# numbers vary$/.test(command);
        typed.push({ command, says: [], loose });
        continue;
      }
      const last = typed.at(-1)!;
      if (line.startsWith("> ") && last.says.length === 0) {
        last.command += `\n${line.slice(2)}`;
      } else last.says.push(line);
    }
  }
  return typed;
}

const MARK = "\u0001";

/** What bash says of a killed process, and progress, which a log hears of every 30 s. */
const NOISE = /: line \d+: +\d+ Killed|^caption \[[#.]+\] /;

/** Types all of it into one shell; returns what each line said. */
export async function type(
  typed: readonly Typed[],
  options: { readonly cwd: string; readonly env: Record<string, string> },
): Promise<string[][]> {
  const script = typed.map(({ command }) => `${command}\nprintf '${MARK}\\n'`);
  const shell = new Deno.Command("bash", {
    args: ["-c", `exec 2>&1\n${script.join("\n")}\n`],
    ...options,
    stdin: "null",
  });
  const { stdout } = await shell.output();
  const said = new TextDecoder().decode(stdout).split(`${MARK}\n`);
  return typed.map((_, i) =>
    (said[i] ?? "(the shell ended before)").split("\n")
      .filter((line) => line !== "" && !NOISE.test(line))
  );
}

/** `line` with its numbers replaced, where they may differ. */
export function comparable(line: string, loose: boolean): string {
  return loose ? line.replaceAll(/\d+/g, "N") : line;
}
