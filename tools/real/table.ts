/**
 * The table of docs/models.md: real side files, and how far each gets. The record
 * is kept by hand from the lines of walk.ts.
 * @module
 */
import { leftCells } from "../models.ts";
import record from "./record.json" with { type: "json" };

/** A line of the record: "ok", the reason of a refusal, or absent where the step was not run. */
interface Entry {
  readonly checkpoint: string;
  /** Public repository that the side files are copied from, and its revision. */
  readonly source: string;
  readonly family?: string;
  readonly check: string;
  readonly plan?: string;
  readonly quantize?: string;
  readonly caption?: string;
  readonly chat?: string;
}

const STEPS = ["plan", "quantize", "caption", "chat"] as const;

/** The reason of a refusal without its next step. */
const short = (reason: string) =>
  reason.split(/: known are|; /)[0].replace(
    /^Cannot (import|use|read|build) (the checkpoint: )?/,
    "",
  );

/** The table. */
export function realTable(): string {
  return leftCells([
    ["checkpoint", "side files from", "family", "check", ...STEPS],
    ...(record as readonly Entry[]).map((entry) => [
      entry.checkpoint,
      entry.source,
      entry.family ?? "–",
      entry.check === "ok" ? "ok" : `refused: ${short(entry.check)}`,
      ...STEPS.map((step) => entry[step] ?? "–"),
    ]),
  ]);
}
