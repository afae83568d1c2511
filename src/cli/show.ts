/**
 * `show FILE`: prints the contents of a model file; with `--plan` also its
 * memory and steps.
 * @module
 */
import { openCheckpoint } from "../format/checkpoint.ts";
import type { TensorFile } from "../format/safetensors.ts";
import { command } from "./command.ts";
import { EXIT } from "./errors.ts";
import { printable } from "./io.ts";
import { modelPath } from "./model_path.ts";
import { planJson, planText } from "./plan_text.ts";
import { bitsOf } from "./statistics.ts";
import { bytes, table } from "./table.ts";

export default command({
  name: "show",
  summary: "print the contents of a model file, its plan and its memory",
  operands: "[FILE]",
  arity: [0, 1],
  options: {
    plan: {
      type: "boolean",
      help: "print the memory and the steps of the plan",
    },
    threads: {
      type: "integer",
      help: "number of threads to plan for",
      min: 1,
      max: 64,
    },
    json: { type: "boolean", help: "print one JSON object" },
  },
  notes:
    "FILE is a safetensors file or a checkpoint folder; default: the bundled model. Only headers are\nread, unless --plan is given. For a checkpoint folder, --plan shows the plan of its w4a8 file.",
  permissions: "--allow-read",
  async run([given], values, io) {
    const path = modelPath(given);
    if (values.plan) {
      const text = values.json ? planJson : planText;
      io.out(await text(path, values.threads));
      return EXIT.ok;
    }
    using file = openCheckpoint(path);
    io.out(values.json ? asJson(file) : asText(file));
    return EXIT.ok;
  },
});

function asJson(file: TensorFile): string {
  const metadata = Object.fromEntries(
    [...file.metadata].filter(([key]) => !LONG.has(key)),
  );
  const tensors = [...file.tensors.values()].map((
    { name, dtype, shape, byteLength },
  ) => ({ name, dtype, shape, bytes: byteLength }));
  return `${JSON.stringify({ file: file.name, metadata, tensors })}\n`;
}

/** Metadata that are too long to print. */
const LONG = new Set(["graph", "sha256", "bits"]);

function asText(file: TensorFile): string {
  const all = [...file.tensors.values()];
  const total = all.reduce((sum, t) => sum + t.byteLength, 0);
  const model = file.metadata.get("format")?.startsWith("mquant/");
  const facts = [...file.metadata].filter(([key]) => !LONG.has(key))
    .map(([key, value]) => `  ${printable(key)}: ${cut(printable(value))}\n`);
  const bits = bitsOf(file);
  const rows = all.map((t) => [
    printable(t.name),
    bits.get(t.name) === 4 ? "int4" : bits.has(t.name) ? "int8" : t.dtype,
    `[${t.shape.join(", ")}]`,
    bytes(t.byteLength),
  ]);
  return `${file.name}: ${all.length} tensors, ${bytes(total)}${
    model ? "" : " (a float checkpoint: no mquant model)"
  }\n${facts.join("")}\n${
    table([["tensor", "type", "shape", "bytes"], ...rows])
  }`;
}

function cut(text: string): string {
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}
