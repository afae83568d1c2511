/**
 * The rules of src/ as a lint (docs/architecture.md, "Rooms"):
 *
 * - `rooms`: a file imports from its own room or from a room to its left in
 *   `ROOMS`, never from one to its right. Dynamic imports, workers and
 *   `import.meta.resolve` count, type-only imports too. This list *is* the
 *   architecture.
 * - `cycles`: no module imports itself through others.
 * - `size`: at most 400 lines a file and 80 a function. A function that must be
 *   longer says why in the comment above it: `// long because …`.
 *
 * @module
 */
import { cycleThrough } from "./lint_imports.ts";

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

/** The room that src/mod.ts, the public API, stands in: it exports what sessions are. */
const API = "session";

/** Most lines of a file in src/. */
export const FILE_LINES = 400;

/** Most lines of a function in src/. */
export const FUNCTION_LINES = 80;

/** Whether sizes and cycles of a file are looked at. */
const isMeasured = (path: string) => roomOf(path) !== undefined;

/** Room of a file path such as `…/src/graph/node.ts`; undefined outside the rooms. */
export function roomOf(path: string): string | undefined {
  const [, below] = path.replaceAll("\\", "/").match(/(?:^|\/)src\/(.+)$/) ??
    [];
  if (below === undefined) return undefined;
  if (below === "mod.ts") return API;
  return below.includes("/") ? below.slice(0, below.indexOf("/")) : undefined;
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

/** Room of what `specifier` names when a file at `filename` imports it. */
function target(filename: string, specifier: string): string | undefined {
  if (!/^\..*\.ts$/.test(specifier)) return undefined;
  return roomOf(new URL(specifier, `file://${filename}`).pathname);
}

/** A text in quotes, as the syntax tree has it. */
type Source = { readonly value?: unknown } | null | undefined;

const rooms: Deno.lint.Rule = {
  create(context) {
    const filename = context.filename.replaceAll("\\", "/");
    const from = roomOf(filename);
    const check = (node: Deno.lint.Node, source: Source) => {
      if (typeof source?.value !== "string") return;
      const why = uphill(from, target(filename, source.value));
      if (why) context.report({ node, message: why });
    };
    return {
      ImportDeclaration: (node) => check(node, node.source),
      ExportNamedDeclaration: (node) => check(node, node.source),
      ExportAllDeclaration: (node) => check(node, node.source),
      ImportExpression: (node) => check(node, node.source as Source),
      TSImportType(node) {
        const [, value] = context.sourceCode.getText(node)
          .match(/^import\(\s*"([^"]+)"/) ?? [];
        check(node, { value });
      },
      NewExpression(node) {
        const { callee } = node;
        if (callee.type !== "Identifier" || callee.name !== "URL") return;
        check(node, node.arguments[0] as Source);
      },
      CallExpression(node) {
        const { callee } = node;
        if (callee.type !== "MemberExpression") return;
        if (callee.object.type !== "MetaProperty") return;
        check(node, node.arguments[0] as Source);
      },
    };
  },
};

function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

const cycles: Deno.lint.Rule = {
  create(context) {
    const filename = context.filename.replaceAll("\\", "/");
    if (!isMeasured(filename)) return {};
    return {
      Program(node) {
        const cycle = cycleThrough(filename, read);
        if (!cycle) return;
        const names = cycle.map((path) => path.replace(/.*\/src\//, ""));
        const message = `a cycle of imports: ${names.join(" → ")}`;
        context.report({ node, message });
      },
    };
  },
};

type FunctionNode =
  | Deno.lint.FunctionDeclaration
  | Deno.lint.FunctionExpression
  | Deno.lint.ArrowFunctionExpression;

const size: Deno.lint.Rule = {
  create(context) {
    if (!isMeasured(context.filename)) return {};
    const { text } = context.sourceCode;
    const lines = text.split("\n");
    const lineOf = (offset: number) => text.slice(0, offset).split("\n").length;
    const check = (node: FunctionNode) => {
      const first = lineOf(node.range[0]), last = lineOf(node.range[1]);
      const long = last - first + 1;
      if (long <= FUNCTION_LINES || reasonAbove(lines, first)) return;
      const message =
        `a function of ${long} lines, at most ${FUNCTION_LINES} are allowed; split it, or say above it: // long because …`;
      context.report({ node, message });
    };
    return {
      Program(node) {
        const long = lines.length - 1;
        if (long <= FILE_LINES) return;
        const message =
          `a file of ${long} lines, at most ${FILE_LINES} are allowed; split it`;
        context.report({ node, message });
      },
      FunctionDeclaration: check,
      FunctionExpression: check,
      ArrowFunctionExpression: check,
    };
  },
};

/** Whether the comment right above line `first` (from 1) says why a function is long. */
function reasonAbove(lines: readonly string[], first: number): boolean {
  for (let i = first - 2; i >= 0; i--) {
    const line = lines[i].trim();
    if (/^\/\/ long because \S/.test(line)) return true;
    if (!/^(\/\/|\/\*|\*)/.test(line)) return false;
  }
  return false;
}

const plugin: Deno.lint.Plugin = {
  name: "mquant",
  rules: { rooms, cycles, size },
};

export default plugin;
