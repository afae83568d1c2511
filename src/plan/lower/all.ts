/**
 * Lowers a model to its three lists of steps: vision, prefill, decode.
 * @module
 */
import { RuntimeError } from "../../graph/error.ts";
import { extraRows } from "../../graph/node.ts";
import type { StaticModel } from "../../graph/static_model.ts";
import type { Store } from "../buffer.ts";
import { chunkRows, fixedRows, registerRows } from "../row_layout.ts";
import { MOST_RATIO, REGISTER } from "../step.ts";
import type { Lowered, LowerOptions } from "./context.ts";
import { lower } from "./lower.ts";

/** Throws a `RuntimeError` "plan" where heads per kvHeads exceed the kernels' limit. */
export function checkRatios(model: StaticModel): void {
  for (const n of model.nodes) {
    if (n.op === "attention" && n.heads / n.kvHeads > MOST_RATIO) {
      throw new RuntimeError(
        "plan",
        `Cannot plan the model: heads per kvHeads must be at most ${MOST_RATIO}: current value is ${
          n.heads / n.kvHeads
        }`,
      );
    }
  }
}

/** Lowers each list; vision is undefined for a text-only model. */
export function lowerAll(
  model: StaticModel,
  store: Store,
  options: Omit<LowerOptions, "phase" | "layout">,
): { vision: Lowered | undefined; prefill: Lowered; decode: Lowered } {
  const rows = options.patches + extraRows(model.nodes);
  const { info } = model;
  const vision = model.nodes.some((n) => n.phase === "vision")
    ? lower(model, store, {
      ...options,
      phase: "vision",
      layout: info.image?.nativeResolution
        ? registerRows(REGISTER.rows, rows)
        : fixedRows(rows, 0),
    })
    : undefined;
  const prefill = lower(model, store, {
    ...options,
    phase: "text",
    layout: chunkRows(options.imageRows, info.image !== undefined),
  });
  const decode = lower(model, store, {
    ...options,
    phase: "text",
    layout: fixedRows(1, 1),
  });
  return { vision, prefill, decode };
}
