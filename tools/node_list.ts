/**
 * The reference of ops in docs/format.md: what each computes, and its fields,
 * from the records in src/graph/ops/.
 * @module
 */
import { OPS } from "../src/graph/ops/mod.ts";
import type { Op } from "../src/graph/op.ts";
import { leftCells } from "./models.ts";

/** Prose in lines of at most 80 characters, as `deno fmt` breaks it. */
function lines(text: string): string {
  const out: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line && line.length + 1 + word.length > 80) {
      out.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...out, line].join("\n");
}

/** One op: a heading, its meaning, and a table of its fields. */
function entry(record: Op): string {
  const phase = record.phase === undefined
    ? ""
    : ` Only in the ${record.phase} phase.`;
  const fields = Object.entries(record.fields).map(([name, field]) => [
    `\`${name}\`${field.optional ? "?" : ""}`,
    field.about,
    field.wish,
  ]);
  return `### \`${record.op}\`\n\n${lines(record.about + phase)}\n\n${
    leftCells([["field", "meaning", "value"], ...fields])
  }`;
}

/** All ops. */
export const nodeList = (): string =>
  Object.values(OPS).map((record) => entry(record as unknown as Op))
    .join("\n");
