/**
 * A checked model file, the input of the planner: graph, tensor list, and small
 * vectors (scales) that are read on demand. Weights stay in the file.
 * @module
 */
import { quoted } from "../format/error.ts";
import type { ModelFile } from "../format/model_file.ts";
import type { ModelInfo } from "./info.ts";
import type { Node } from "./node.ts";
import { checkGraph } from "./check.ts";
import { tensorsOf } from "./tensors.ts";
import { RuntimeError } from "./error.ts";
import { readBits, readGroups, readInfo, readNodes } from "./read.ts";

/** A checked model file. */
export interface StaticModel {
  /** The open file; it must stay open until the model is loaded. */
  readonly file: ModelFile;
  /** Nodes in execution order. */
  readonly nodes: readonly Node[];
  /** Model facts beside the graph. */
  readonly info: ModelInfo;
  /** Bits of every integer weight. */
  readonly bits: ReadonlyMap<string, number>;
  /** Columns per quantization group, by weight. */
  readonly groups: ReadonlyMap<string, number>;
  /** Reads a float tensor; throws a `RuntimeError` "scale" where a value is not finite. */
  floats(name: string): Float32Array;
  /** Reads a tensor of scales; throws a `RuntimeError` "scale" where one is not finite and positive. */
  scales(name: string): Float32Array;
}

/**
 * Checks a model file without reading its weights.
 * @throws {RuntimeError} with the problem; {FormatError} where metadata are missing
 */
export function readStaticModel(file: ModelFile): StaticModel {
  const nodes = readNodes(file.meta("graph"));
  const info = readInfo(file.meta("info"));
  const bits = readBits(file.meta("bits"));
  checkGraph(nodes, info);
  const groups = readGroups(file.metadata.get("groups") ?? "{}");
  const specs = tensorsOf(nodes, info, bits, groups);
  for (const [name, spec] of specs) {
    const found = file.tensor(name);
    if (found.dtype !== spec.dtype || `${found.shape}` !== `${spec.shape}`) {
      throw new RuntimeError(
        "tensors",
        `Cannot load ${
          quoted(name)
        }: it must be ${spec.dtype} of shape [${spec.shape}]: it is ${found.dtype} of shape [${found.shape}]`,
      );
    }
  }
  for (const name of file.tensors.keys()) {
    if (!specs.has(name)) {
      throw new RuntimeError(
        "tensors",
        `Cannot load ${
          quoted(name)
        }: no node of the graph uses it; the file does not match its graph`,
      );
    }
  }
  const vector = (name: string, wish: string, good: (x: number) => boolean) => {
    const values = file.tensor(name).read() as Float32Array;
    const bad = values.findIndex((x) => !good(x));
    if (bad >= 0) {
      throw new RuntimeError(
        "scale",
        `Cannot load ${
          quoted(name)
        }: element ${bad} must be ${wish}: current value is ${values[bad]}`,
      );
    }
    return values;
  };
  const scales = new Map<string, Float32Array>();
  return {
    file,
    nodes,
    info,
    bits,
    groups,
    floats: (name) => vector(name, "finite", Number.isFinite),
    scales(name) {
      let values = scales.get(name); // used by several lists of steps
      if (!values) {
        values = vector(
          name,
          "finite and positive",
          (x) => x > 0 && x < Infinity,
        );
        scales.set(name, values);
      }
      return values;
    },
  };
}
