/**
 * The command line: `mquant COMMAND …`, or `deno task COMMAND …` in a checkout.
 * @module
 */
import { parse } from "./command.ts";
import { COMMANDS, load, loadAll } from "./commands.ts";
import { EXIT, sentence, UsageError } from "./errors.ts";
import { commandHelp, overview } from "./help.ts";
import { interruptible } from "./interrupt.ts";
import { type Io, PipeClosed, processIo } from "./io.ts";
import { stray } from "./stray.ts";
import { nearest } from "./suggest.ts";
import { versionText } from "./version.ts";

/** Runs a command line; returns the exit code and never throws. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  try {
    return await dispatch(name, rest, io);
  } catch (error) {
    if (error instanceof PipeClosed) return EXIT.ok;
    if (io.signal.aborted) {
      io.err("interrupted");
      return EXIT.interrupted;
    }
    io.err(sentence(error, name ?? "start"));
    if (rest.includes("--debug") && error instanceof Error) {
      io.err(error.stack ?? "");
    }
    return error instanceof UsageError ? EXIT.usage : EXIT.failure;
  }
}

async function dispatch(
  name: string | undefined,
  args: readonly string[],
  io: Io,
): Promise<number> {
  if (name === undefined) {
    io.err(overview(await loadAll()));
    return EXIT.usage;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    const asked = args[0] === undefined ? undefined : await load(args[0]);
    io.out(asked ? commandHelp(asked) : overview(await loadAll()));
    return EXIT.ok;
  }
  if (name === "--version" || name === "-V") {
    io.out(await versionText());
    return EXIT.ok;
  }
  const command = await load(name);
  if (!command) {
    const near = nearest(name, COMMANDS);
    throw new UsageError(
      `Cannot run ${JSON.stringify(name)}: there is no such command; ${
        near ? `did you mean ${near}?` : "`mquant --help` lists them"
      }`,
    );
  }
  const { values, operands } = parse(command, args);
  if (values.help) {
    io.out(commandHelp(command));
    return EXIT.ok;
  }
  const work = () => command.run(operands, values as never, io);
  if (command.interrupt === "kill") return await work();
  return await interruptible(io.controller, work);
}

if (import.meta.main) {
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    stray(event.reason);
  });
  addEventListener("error", (event) => {
    event.preventDefault();
    stray(event.error);
  });
  Deno.exit(await main(Deno.args, processIo()));
}
