/**
 * Help text, generated from the option tables.
 * @module
 */
import { COMMON, expected } from "./command.ts";
import type { Command, Option } from "./command.ts";

function line(name: string, o: Option): [string, string] {
  const value = o.type === "boolean"
    ? ""
    : ` ${o.value ?? (o.choices ? o.choices.join("|") : "N")}`;
  const range = o.type === "integer" || o.type === "number"
    ? expected(o).replace(/^a (whole )?number ?/, "")
    : "";
  const extra = [
    range,
    o.default === undefined ? "" : `default ${o.default}`,
  ].filter((s) => s !== "").join(", ");
  return [`--${name}${value}`, extra ? `${o.help} (${extra})` : o.help];
}

/** Widest left column; a longer cell has its text on the next line. */
const LEFT = 26;

/** Longest line of help, in characters. */
const LINE = 100;

/** Two columns; the right one is wrapped at spaces. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.min(LEFT, Math.max(...rows.map(([left]) => left.length)));
  const indent = " ".repeat(width + 4);
  return rows.map(([left, right]) => {
    const [first, ...rest] = wrapped(right, LINE - indent.length);
    const head = left.length > width
      ? `  ${left}\n${indent}`
      : `  ${left.padEnd(width)}  `;
    return [head + first, ...rest.map((text) => indent + text)].join("\n");
  }).join("\n");
}

/** Lines of at most `width` characters, broken at spaces. */
function wrapped(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}

/** `mquant COMMAND --help`. */
export function commandHelp(c: Command): string {
  const rows = Object.entries({ ...c.options, ...COMMON } as Record<
    string,
    Option
  >).map(([name, o]) => line(name, o));
  const usage = ["mquant", c.name, c.operands, "[OPTIONS]"].filter(Boolean);
  return [
    `${c.summary}\n`,
    `Usage: ${usage.join(" ")}\n`,
    `Options:\n${columns(rows)}\n`,
    ...(c.notes ? [`${c.notes}\n`] : []),
    `Needs: ${c.permissions}\n`,
  ].join("\n");
}

/** `mquant --help`. */
export function overview(commands: readonly Command[]): string {
  return `Vision-language models on the CPU, fully statically quantized.

Usage: mquant COMMAND [OPTIONS]

Commands:
${columns(commands.map((c) => [c.name, c.summary]))}

\`mquant COMMAND --help\` describes a command; \`mquant --version\` prints the
version and the hash of the kernels. Exit codes: 0 success, 1 failure, 2 wrong
usage, 3 part of a batch failed, 130 interrupted.
`;
}
