/**
 * The commands. Each is loaded when it is called, so `caption` does not load
 * the quantizer.
 * @module
 */
import type { Command } from "./command.ts";

type Loader = () => Promise<{ readonly default: Command }>;

const LOADERS = {
  caption: () => import("./caption.ts"),
  chat: () => import("./chat.ts"),
  serve: () => import("./serve.ts"),
  check: () => import("./check.ts"),
  pull: () => import("./pull.ts"),
  quantize: () => import("./quantize.ts"),
  convert: () => import("./convert.ts"),
  bundle: () => import("./bundle.ts"),
  eval: () => import("./eval.ts"),
  report: () => import("./report.ts"),
  show: () => import("./show.ts"),
  inspect: () => import("./inspect.ts"),
  compare: () => import("./compare.ts"),
  bench: () => import("./bench.ts"),
  doctor: () => import("./doctor.ts"),
  completions: async () => {
    const { completions } = await import("./completions.ts");
    return { default: completions(loadAll) };
  },
} as const satisfies Record<string, Loader>;

/** Names of the commands, in the order help lists them. */
export const COMMANDS = Object.keys(LOADERS) as (keyof typeof LOADERS)[];

/** Loads the command `name`; undefined if there is none. */
export async function load(name: string): Promise<Command | undefined> {
  if (!Object.hasOwn(LOADERS, name)) return undefined;
  return (await LOADERS[name as keyof typeof LOADERS]()).default as Command;
}

/** All commands. */
export async function loadAll(): Promise<Command[]> {
  return await Promise.all(COMMANDS.map(async (name) => (await load(name))!));
}
