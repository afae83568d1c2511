/**
 * Families at real sizes, without weights: config and tensor list of each
 * (tools/golden/shapes.py, original_shapes.py), described, transformed and planned.
 * @module
 */
import type { Model } from "../../src/graph/node.ts";
import type { Checkpoint } from "../../src/models/checkpoint.ts";
import { describe } from "../../src/models/mod.ts";
import { transformed as passed } from "../../src/plan/unquantized.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

interface Entry {
  readonly config: Record<string, unknown>;
  readonly tensors: Record<string, number[]>;
}

const entries: Record<string, Entry> = {};
for (const file of ["real_sizes", "original_sizes", "internvl2_sizes"]) {
  const { _comment, ...some } = JSON.parse(
    Deno.readTextFileSync(new URL(`../golden/${file}.json`, import.meta.url)),
  );
  Object.assign(entries, some);
}

/** Names of the models. */
export const REAL: readonly string[] = Object.keys(entries);

/** Numbers of the layers that have a tensor: "{24}" is 0…23, "{2,5,}" are 2 and 5. */
function layersOf(pattern: string): string[] {
  const some = /\{([\d,]+)\}/.exec(pattern)?.[1] ?? "1";
  return some.includes(",")
    ? some.split(",").filter(Boolean)
    : Array.from({ length: Number(some) }, (_, i) => `${i}`);
}

/** A checkpoint whose tensors have shapes only. */
export function realCheckpoint(name: string): Checkpoint {
  const { config, tensors: folded } = entries[name];
  const tensors = new Map<string, Tensor>();
  for (const [pattern, shape] of Object.entries(folded)) {
    for (const layer of layersOf(pattern)) {
      const tensor = pattern.replace(/\{[\d,]+\}/, layer);
      tensors.set(tensor, {
        shape,
        read: () => {
          throw new Error(`${tensor} has no values`);
        },
      });
    }
  }
  return { config, tensors };
}

/** Parameters of a checkpoint. */
export function parametersOf({ tensors }: Checkpoint): number {
  return [...tensors.values()]
    .reduce((sum, t) => sum + t.shape.reduce((a, b) => a * b, 1), 0);
}

/** The model after the recipe's passes, all but the one that looks at weights. */
export function transformed(name: string): Model {
  return passed(describe(realCheckpoint(name)));
}
