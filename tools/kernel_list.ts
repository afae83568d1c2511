/**
 * The list of kernels in docs/kernels.md: each with its result and operands,
 * from the signatures.
 * @module
 */
import type { Operand, Operands } from "../src/kernels/signature.ts";
import { signatures } from "../src/kernels/signatures/mod.ts";

const WIDTH = 78;

/** An operand in words: its name, element type and shape, or kind. */
function words([name, operand]: [string, Operand]): string {
  switch (operand.kind) {
    case "pointer": {
      const { element, shape, writes, optional } = operand;
      return `${name} ${element}${shape.startsWith("[") ? "" : " "}${shape}${
        writes ? " (out)" : ""
      }${optional ? " (or 0)" : ""}`;
    }
    case "range":
      return `${name} (range, multiples of ${operand.unit})`;
    default:
      return `${name} (${operand.kind})`;
  }
}

/** Words, separated by commas, in lines of at most `WIDTH` characters. */
function wrapped(parts: readonly string[], indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const [i, part] of parts.entries()) {
    const word = i === parts.length - 1 ? part : `${part}, `;
    if (line.length + word.trimEnd().length > WIDTH) {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += word;
  }
  return [...lines, line];
}

/** All kernels as text. */
export function kernelList(): string {
  return Object.values(signatures).map((s) =>
    [
      s.name,
      `    ${s.meaning}`,
      ...wrapped(Object.entries(s.operands as Operands).map(words), "    "),
    ].join("\n")
  ).join("\n\n");
}
