/**
 * Help text, from the same tables that are parsed.
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

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
    .join("\n");
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
  return `Static quantized vision-language models on the CPU.

Usage: mquant COMMAND [OPTIONS]

Commands:
${columns(commands.map((c) => [c.name, c.summary]))}

\`mquant COMMAND --help\` describes one; \`mquant --version\` prints the version
and the hash of the kernels. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 part
of a batch failed, 130 interrupted.
`;
}
