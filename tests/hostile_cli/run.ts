/**
 * Runs the command line as a process, with exactly the task's permissions.
 * @module
 */
import { fromFileUrl } from "@std/path";

/** The root of the checkout. */
export const ROOT: string = fromFileUrl(new URL("../../", import.meta.url));

/** What a process left behind. */
export interface Outcome {
  /** Exit code. */
  readonly code: number;
  /** Everything on stdout. */
  readonly out: string;
  /** Everything on stderr. */
  readonly err: string;
}

/** Starts `deno run --allow-read src/cli/main.ts ARGS`, or with other permissions. */
export function spawn(
  args: readonly string[],
  stdin: "null" | "piped" = "null",
  flags: readonly string[] = ["--allow-read"],
): Deno.ChildProcess {
  return new Deno.Command("deno", {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      ...flags,
      "src/cli/main.ts",
      ...args,
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs it to the end, with `input` on stdin. */
export async function run(
  args: readonly string[],
  input?: Uint8Array<ArrayBuffer>,
): Promise<Outcome> {
  const child = spawn(args, input ? "piped" : "null");
  if (input) {
    const writer = child.stdin.getWriter();
    // The process may refuse and close the pipe before it has read all.
    await writer.write(input).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { code, stdout, stderr } = await child.output();
  const text = (b: Uint8Array) => new TextDecoder().decode(b);
  return { code, out: text(stdout), err: text(stderr) };
}

/** Path of the bundled model, or undefined where none is bundled yet. */
export function bundledModel(): string | undefined {
  const folder = `${ROOT}models/photo-mini`;
  const name = [...Deno.readDirSync(folder)].map((e) => e.name)
    .find((n) => n.endsWith(".safetensors"));
  return name && `${folder}/${name}`;
}
