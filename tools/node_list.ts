/**
 * The reference of ops in docs/format.md: definition and fields of each op, from the
 * records in src/graph/ops/.
 * @module
 */
import { IMAGE_FIELDS, INFO_FIELDS, TILE_FIELDS } from "../src/graph/info.ts";
import { OPS } from "../src/graph/ops/mod.ts";
import type { Field, Fields } from "../src/graph/field.ts";
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

/** What a field's value must be, and when the field may be there. */
function valueOf({ names, wish, rules = {} }: Field): string {
  const what = names === "tensor"
    ? "a tensor"
    : names === undefined
    ? wish
    : wish.startsWith("a list")
    ? "values"
    : "a value";
  const { phase, with: other, without } = rules;
  const code = (field: string) => `\`${field}\``;
  return [
    what,
    ...phase ? [`${phase} phase only`] : [],
    ...other ? [`with ${code(other)}`] : [],
    ...without ? [`without ${without.map(code).join(" or ")}`] : [],
  ].join("; ");
}

/** A table of fields. */
function table(fields: Fields): string {
  const rows = Object.entries(fields).map(([name, field]) => [
    `\`${name}\`${field.optional ? "?" : ""}`,
    field.about,
    valueOf(field),
  ]);
  return leftCells([["field", "meaning", "value"], ...rows]);
}

/** One op: a heading, its meaning, and a table of its fields. */
function entry(record: Op): string {
  const phase = record.phase === undefined
    ? ""
    : ` Only in the ${record.phase} phase.`;
  return `### \`${record.op}\`\n\n${lines(record.about + phase)}\n\n${
    table(record.fields)
  }`;
}

/** All ops. */
export const nodeList = (): string =>
  Object.values(OPS).map((record) => entry(record as unknown as Op))
    .join("\n");

/** Fields of `info`, of its `image`, and of the image's `tiles`. */
export const infoList = (): string =>
  [
    table(INFO_FIELDS),
    `\`image\`:\n\n${table(IMAGE_FIELDS)}`,
    `\`tiles\` of \`image\`, all of them texts:\n\n${table(TILE_FIELDS)}`,
  ].join("\n");
