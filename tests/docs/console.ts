/**
 * Transcripts in documents, checked: in blocks marked `console`, a line that begins
 * with `$`, with the following lines that begin with `>`, is run in a shell; the lines
 * after it are the expected output, stdout and stderr together.
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

/** What came of a line. */
export interface Said {
  /** What it said, without the noise. */
  readonly lines: readonly string[];
  /** Its exit code; undefined where the shell ended before. */
  readonly code: number | undefined;
}

const MARK = "\u0001";

/** What bash says of a killed process, and progress, which a log hears of every 30 s. */
const NOISE = /: line \d+: +\d+ Killed|^caption \[[#.]+\] /;

/**
 * Types all of it into one shell. Whatever still runs after `seconds` is killed,
 * with all that the shell has started.
 */
export async function type(
  commands: readonly string[],
  { seconds = 120, ...options }: {
    readonly cwd: string;
    readonly env: Record<string, string>;
    readonly seconds?: number;
  },
): Promise<Said[]> {
  const script = commands.map((c) => `${c}\nprintf '${MARK}%s\\n' $?`);
  const shell = new Deno.Command("timeout", {
    args: [
      "-k5",
      `${seconds}`,
      "bash",
      "-c",
      `exec 2>&1\n${script.join("\n")}`,
    ],
    ...options,
    stdin: "null",
  });
  const { stdout } = await shell.output();
  const said = new TextDecoder().decode(stdout)
    .split(RegExp(`${MARK}(\\d+)\n`));
  return commands.map((_, i) => ({
    lines: (said[2 * i] ?? "(the shell ended before)").split("\n")
      .filter((line) => line !== "" && !NOISE.test(line)),
    code: said[2 * i + 1] === undefined ? undefined : Number(said[2 * i + 1]),
  }));
}

/** `line` with its numbers replaced, where they may differ. */
export function comparable(line: string, loose: boolean): string {
  return loose ? line.replaceAll(/\d+/g, "N") : line;
}
