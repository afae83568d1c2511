/**
 * The rooms of src/ and their one rule, as a lint: a file imports from its own
 * room or from a room to its left in `ROOMS`, never from one to its right.
 * This list *is* the architecture (docs/architecture.md, "Rooms").
 * @module
 */

/** The rooms, leaves first. */
export const ROOMS = [
  "platform",
  "tensor",
  "kernels",
  "format",
  "tokenizer",
  "image",
  "graph",
  "models",
  "quantize",
  "float",
  "plan",
  "execute",
  "constrain",
  "session",
  "evaluate",
  "convert",
  "server",
  "cli",
] as const;

/** Room of a file path such as `…/src/graph/node.ts`; undefined outside the rooms. */
export function roomOf(path: string): string | undefined {
  return path.replaceAll("\\", "/").match(/(?:^|\/)src\/([^/]+)\//)?.[1];
}

/** Why `from` may not import from `to`, or undefined where it may. */
export function uphill(
  from: string | undefined,
  to: string | undefined,
): string | undefined {
  if (from === undefined || to === undefined || from === to) return undefined;
  const [f, t] = [ROOMS.indexOf(from as never), ROOMS.indexOf(to as never)];
  if (f < 0) return `src/${from} is not a room; rooms are ${ROOMS.join(", ")}`;
  if (t < 0) return `src/${to} is not a room; rooms are ${ROOMS.join(", ")}`;
  if (t < f) return undefined;
  return `${from} may not import from ${to}: imports point downhill (docs/architecture.md, "Rooms")`;
}

/** Room of what `specifier` names when a file of `room` imports it. */
function target(filename: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  return roomOf(new URL(specifier, `file://${filename}`).pathname);
}

const plugin: Deno.lint.Plugin = {
  name: "mquant",
  rules: {
    "rooms": {
      create(context) {
        const filename = context.filename.replaceAll("\\", "/");
        const from = roomOf(filename);
        const check = (
          node: Deno.lint.Node,
          source: { value: unknown } | null,
        ) => {
          if (typeof source?.value !== "string") return;
          const why = uphill(from, target(filename, source.value));
          if (why) context.report({ node, message: why });
        };
        return {
          ImportDeclaration: (node) => check(node, node.source),
          ExportNamedDeclaration: (node) => check(node, node.source),
          ExportAllDeclaration: (node) => check(node, node.source),
        };
      },
    },
  },
};

export default plugin;
