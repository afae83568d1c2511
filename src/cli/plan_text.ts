/**
 * `show --plan`: memory and steps of a model, computed before anything is
 * allocated.
 * @module
 */
import { openModelFile } from "../format/model_file.ts";
import { fileSource } from "../format/source.ts";
import { readImagePlan } from "../image/processors.ts";
import { readAssets } from "../session/assets.ts";
import { describePlan } from "../plan/describe.ts";
import { planFor } from "../execute/options.ts";
import type { Plan } from "../plan/plan.ts";
import { readStaticModel } from "../graph/static_model.ts";
import { transformed, unquantized } from "../plan/unquantized.ts";
import { isGguf, openFloatCheckpoint } from "../convert/checkpoint.ts";
import { printable } from "./io.ts";
import { isFolder } from "../format/stat.ts";
import { bytes, table } from "./table.ts";

/**
 * Peak memory of the process of `deno task caption`: the model's plan plus
 * Deno, V8, this program, the decoders and a photo of 512 × 512. Measured as
 * peak RSS minus the plan, with 1 to 4 threads: 87, 99, 112, 123 MB (Deno
 * 2.9.6, x86-64 Linux, 2026-11-23). The task limits V8's young generation to 2
 * MiB, which saves 12 MB at no measurable cost of time.
 */
function processBytes({ memory, threads }: Plan): number {
  return memory.total + 87e6 + 12e6 * (threads - 1);
}

function planOf(path: string, threads: number | undefined): Plan {
  if (isFolder(path) || isGguf(path)) {
    return planOfCheckpoint(path, threads);
  }
  using file = openModelFile(fileSource(path));
  const model = readStaticModel(file);
  const { image } = readAssets(file, model.info);
  return planFor(model, image, threads === undefined ? {} : { threads });
}

/** The plan of the w4a8 file of a checkpoint; no weight is read. */
function planOfCheckpoint(folder: string, threads: number | undefined): Plan {
  using checkpoint = openFloatCheckpoint(folder);
  const { model, processor } = checkpoint;
  const pixels = model.info.image && readImagePlan(JSON.stringify(processor));
  return planFor(
    unquantized(transformed(model)),
    pixels,
    threads === undefined ? {} : { threads },
  );
}

const PARTS = {
  weights: "packed integer weights",
  constants: "scales, biases, rotary tables",
  kv: "keys and values of the whole context",
  activations: "everything between two steps",
  scratch: "scratch of all threads",
} as const;

/** Number and sizes of its WebAssembly memories. */
function memoriesOf({ memories }: Plan): string {
  if (memories.length === 1) return "one WebAssembly memory";
  const sizes = memories.map((m) => bytes(m.bytes)).join(" + ");
  return `${memories.length} WebAssembly memories: ${sizes}`;
}

/** Memory and steps as text. */
export function planText(path: string, threads?: number): string {
  const p = planOf(path, threads), { memory } = p;
  const rows = Object.entries(PARTS).map((
    [key, what],
  ) => [key, bytes(memory[key as keyof typeof PARTS]), what]);
  return `${p.context} tokens of context, ${p.threads} threads

${
    table([
      ["memory", "bytes", ""],
      ...rows,
      ["model", bytes(memory.total), memoriesOf(p)],
      ["process", bytes(processBytes(p)), "predicted peak"],
    ])
  }
${printable(describePlan(p).text)}
`;
}

/** Memory and steps as a JSON object. */
export function planJson(path: string, threads?: number): string {
  const p = planOf(path, threads);
  const memories = p.memories.map((m) => m.bytes);
  const memory = { ...p.memory, memories, process: processBytes(p) };
  const { steps } = describePlan(p);
  return `${
    JSON.stringify({ context: p.context, threads: p.threads, memory, steps })
  }\n`;
}
