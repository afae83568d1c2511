/**
 * The tensors of a graph with their dtypes and shapes: what a model file must hold,
 * and what the quantizer writes.
 * @module
 */
import type { DType } from "../format/dtype.ts";
import { quoted } from "../format/error.ts";
import { fail } from "./field.ts";
import type { ModelInfo } from "./info.ts";
import { groupScale, weightScale } from "./names.ts";
import { rowsPerImage } from "./node.ts";
import type { TensorUse } from "./op.ts";
import { type Node, recordOf } from "./ops/mod.ts";

/** A tensor of a model file: dtype, shape and use. */
export interface TensorSpec {
  readonly dtype: DType;
  /** Extents, outermost first. */
  readonly shape: readonly number[];
  /** How a node uses it; or the weight whose scales it holds. */
  readonly use: TensorUse | {
    readonly kind: "weightScale" | "groupScale";
    readonly weight: string;
  };
}

/**
 * Tensors of the nodes by name, in the order of the file.
 * @param bits of every integer weight
 * @param groups columns per quantization group, by weight
 * @throws {RuntimeError} "bits" where the bits of a weight are missing, "graph" where two nodes use a tensor differently
 */
export function tensorsOf(
  nodes: readonly Node[],
  info: ModelInfo,
  bits: ReadonlyMap<string, number>,
  groups: ReadonlyMap<string, number> = new Map(),
): Map<string, TensorSpec> {
  const specs = new Map<string, TensorSpec>();
  const add = (
    name: string,
    dtype: DType,
    shape: readonly number[],
    use: TensorSpec["use"],
  ) => {
    const known = specs.get(name);
    if (known && (known.dtype !== dtype || `${known.shape}` !== `${shape}`)) {
      fail(
        "graph",
        `tensor ${
          quoted(name)
        } is used as ${known.dtype} [${known.shape}] and as ${dtype} [${shape}]`,
      );
    }
    if (!known) specs.set(name, { dtype, shape, use });
  };
  for (const use of usesOf(nodes, info)) {
    const { name, shape, kind } = use;
    if (kind !== "weight") {
      add(name, kind === "prefix" ? "I8" : "F32", shape, use);
      continue;
    }
    const [n, k] = shape, group = groups.get(name);
    const four = checkWeight(use, bits.get(name), group) === 4;
    add(name, four ? "U8" : "I8", [n, four ? k / 2 : k], use);
    add(weightScale(name), "F32", [n], { kind: "weightScale", weight: name });
    if (group !== undefined) {
      const own = { kind: "groupScale", weight: name } as const;
      add(groupScale(name), "U8", [n, k / group], own);
    }
  }
  checkNamed("groups", groups, groupScale, specs, "no node uses");
  checkNamed("bits", bits, weightScale, specs, "no node uses");
  return specs;
}

function usesOf(nodes: readonly Node[], info: ModelInfo): TensorUse[] {
  const sizes = {
    vocabulary: info.vocabulary,
    rows: info.image ? rowsPerImage(nodes, info) : 0,
    prefix: info.prefix?.length ?? 0,
  };
  return nodes.flatMap((node) => recordOf(node).tensors?.(node, sizes) ?? []);
}

/** Checks the bits of an integer weight against its shape and groups, and returns them. */
function checkWeight(
  { name, shape: [, k], grouped, bits: only }: TensorUse & {
    readonly kind: "weight";
  },
  bits: number | undefined,
  group: number | undefined,
): number {
  if (bits === undefined) {
    return fail("bits", `bits of ${quoted(name)} are missing`);
  }
  if (bits !== (only ?? bits)) {
    fail(
      "bits",
      `weight ${quoted(name)} must have ${only} bits: it has ${bits}`,
    );
  }
  if (bits === 4 && k % 2 !== 0) {
    fail(
      "graph",
      `weight ${
        quoted(name)
      } of 4 bits must have an even k: current value is ${k}`,
    );
  }
  if (group === undefined) return bits;
  if (!grouped) {
    fail(
      "graph",
      `weight ${
        quoted(name)
      } must have one scale per row: it has groups of ${group}`,
    );
  }
  if (bits !== 4 || k % group !== 0) {
    fail(
      "graph",
      `weight ${
        quoted(name)
      } in groups of ${group} must have 4 bits and whole groups: it has ${bits} bits and k ${k}`,
    );
  }
  return bits;
}

function checkNamed(
  what: string,
  names: ReadonlyMap<string, number>,
  tensor: (weight: string) => string,
  specs: ReadonlyMap<string, TensorSpec>,
  problem: string,
): void {
  for (const name of names.keys()) {
    if (specs.has(tensor(name))) continue;
    fail("bits", `${what} name the weight ${quoted(name)}, which ${problem}`);
  }
}
