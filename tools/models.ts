/**
 * The table of docs/models.md with the memory of models at real sizes, from config and
 * tensor list. No weights are read.
 * @module
 */
import { planFor } from "../src/execute/options.ts";
import { unquantized } from "../src/plan/unquantized.ts";
import { rowsPerImage } from "../src/graph/node.ts";
import {
  parametersOf,
  REAL,
  realCheckpoint,
  transformed,
} from "../tests/models/real.ts";

const CONTEXT = 2048;
const PIXELS = { rescale: 1 / 255, mean: [0, 0, 0], std: [1, 1, 1] } as const;
const MIB = 2 ** 20;

const HEAD = [
  "model",
  "parameters (M)",
  "rows per image",
  "image tokens",
  "weights (MiB)",
  "K/V (KiB/token)",
  "memory (MiB)",
  "per WebAssembly memory",
];

/** The table of sizes. */
export function sizesTable(): string {
  return markdown([HEAD, ...REAL.map(row)]);
}

/** A table of text: every column to the left; a bar in a cell is escaped. */
export const leftCells = (rows: readonly string[][]): string =>
  markdown(
    rows.map((r) => r.map((c) => c.replaceAll("|", "\\|"))),
    () => true,
  );

/** Rows as Markdown, the first the head, each cell as wide as its column. */
export function markdown(
  rows: readonly string[][],
  left: (column: number) => boolean = (column) => column === 0,
): string {
  const widths = rows[0].map((_, i) =>
    Math.max(...rows.map((r) => r[i].length))
  );
  const line = (cells: readonly string[]) =>
    `| ${
      cells.map((c, i) => left(i) ? c.padEnd(widths[i]) : c.padStart(widths[i]))
        .join(" | ")
    } |`;
  const rule = widths.map((w, i) =>
    left(i) ? "-".repeat(w) : `${"-".repeat(w - 1)}:`
  );
  const [head, ...body] = rows.map(line);
  return [head, `| ${rule.join(" | ")} |`, ...body, ""].join("\n");
}

function row(name: string): string[] {
  const model = transformed(name), { nodes, info } = model;
  return [
    name,
    `${Math.round(parametersOf(realCheckpoint(name)) / 1e6)}`,
    info.image ? `${rowsPerImage(nodes, info)}` : "–",
    `${info.image?.tokens ?? "–"}`,
    ...memory(name),
  ];
}

function memory(name: string): string[] {
  const mib = (bytes: number) => `${Math.round(bytes / MIB)}`;
  const plan = planFor(unquantized(transformed(name)), PIXELS, {
    threads: 1,
    context: CONTEXT,
  });
  const { weights, kv, total } = plan.memory;
  return [
    mib(weights),
    (kv / CONTEXT / 1024).toFixed(1),
    mib(total),
    plan.memories.map((m) => mib(m.bytes)).join(" + "),
  ];
}
