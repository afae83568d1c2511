/**
 * Describes a plan as a table of its steps.
 * @module
 */
import { type ListName, LISTS } from "./lists.ts";
import type { Plan } from "./plan.ts";
import { REGISTER, REGISTERS, type Step } from "./step.ts";

/**
 * One step of a plan.
 *
 * ```ts
 * import { type DescribedStep } from "@mquant/mquant";
 *
 * const work = (steps: readonly DescribedStep[]) =>
 *   steps.reduce((sum, step) => sum + step.work, 0);
 * console.log(work([]));
 * ```
 */
export interface DescribedStep {
  /** "vision" per image, "prefill" per chunk of tokens, "decode" per token. */
  readonly list: ListName;
  /** Its index in the list. */
  readonly step: number;
  /** Its kernel, with "@" and the memory where that is not memory 0; "cross_memory_copy" copies between memories. */
  readonly kernel: string;
  /** Ids of its nodes. */
  readonly nodes: string;
  /** Its rows: all, or those of one modality. */
  readonly rows: string;
  /** "all" threads divide it, "each" thread runs all of it, or "one" thread runs it. */
  readonly threads: "all" | "each" | "one";
  /** Multiply-adds; per row if the number of rows varies. */
  readonly work: number;
}

/**
 * A plan as data and as text.
 *
 * ```ts
 * import { type Described, open } from "@mquant/mquant";
 *
 * await using model = await open(
 *   "models/photo-mini/photo-mini.w4a8.safetensors",
 * );
 * const { steps, text }: Described = model.describePlan();
 * console.log(steps.length, text.split("\n")[0]);
 * ```
 */
export interface Described {
  /** All steps. */
  readonly steps: readonly DescribedStep[];
  /** The same as a table, one line per step, and the memory use. */
  readonly text: string;
}

/** Description of the rows of a step. */
function rowsOf(step: Step): string {
  if (step.when === REGISTER.imageRows) return "image";
  if (step.when === REGISTER.textRows) return "text";
  const [constant, register] = step.work;
  return constant > 0 ? "fixed" : REGISTERS[register] ?? "all";
}

/** Describes all steps of a plan, and its memory use. */
export function describePlan(plan: Plan): Described {
  const steps = LISTS.flatMap((list) =>
    (plan[list]?.steps ?? []).map((s, step): DescribedStep => ({
      list,
      step,
      kernel: s.memory ? `${s.kernel} @${s.memory}` : s.kernel,
      nodes: s.label,
      rows: rowsOf(s),
      threads: s.each ? "each" : s.split ? "all" : "one",
      work: s.work[0] + s.work[2],
    }))
  );
  const lines = [[
    "list",
    "step",
    "kernel",
    "rows",
    "threads",
    "multiply–adds",
    "nodes",
  ]];
  for (const s of steps) {
    lines.push([
      s.list,
      String(s.step),
      s.kernel,
      s.rows,
      s.threads,
      Math.round(s.work).toLocaleString("en"),
      s.nodes,
    ]);
  }
  const widths = lines[0].map((_, c) =>
    Math.max(...lines.map((l) => l[c].length))
  );
  const right = [false, true, false, false, false, true, false];
  const table = lines.map((l) =>
    l.map((cell, c) =>
      right[c] ? cell.padStart(widths[c]) : cell.padEnd(widths[c])
    )
      .join("  ").trimEnd()
  );
  const memory = Object.entries(plan.memory).map(([name, bytes]) =>
    `${name.padEnd(11)} ${(bytes / 2 ** 20).toFixed(2).padStart(9)} MiB`
  );
  return { steps, text: [...table, "", ...memory].join("\n") };
}
