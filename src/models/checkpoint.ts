/**
 * Matches a checkpoint's tensors against the parameters a graph names: every
 * tensor accounted for, missing and unused ones are errors.
 * @module
 */
import type { Node } from "../graph/node.ts";
import { paramsOf } from "../graph/node.ts";
import { reshape, sizeOf, type Tensor } from "../tensor/tensor.ts";

/** A checkpoint as a model description sees it. */
export interface Checkpoint {
  /** Parsed config.json. */
  readonly config: Record<string, unknown>;
  /** Float tensors by name. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Shape a graph expects of a parameter. */
function expectedShapes(
  nodes: readonly Node[],
  vocabulary: number,
  rows: number,
): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  for (const node of nodes) {
    switch (node.op) {
      case "linear":
        shapes.set(node.weight, [node.n, node.k]);
        if (node.bias !== undefined) shapes.set(node.bias, [node.n]);
        break;
      case "embed":
        shapes.set(node.param, [vocabulary, node.width]);
        break;
      case "table":
        shapes.set(node.param, [rows, node.width]);
        break;
      default:
        for (const p of paramsOf(node)) {
          shapes.set(p, [(node as { width: number }).width]);
        }
    }
  }
  return shapes;
}

/**
 * Parameters of a graph from a checkpoint.
 * @param nameOf the checkpoint's name of one of our parameters
 * @param given parameters that the architecture derives itself
 * @throws {RangeError} naming a missing tensor, a wrong shape, or tensors left over
 */
export function bind(
  checkpoint: Checkpoint,
  nodes: readonly Node[],
  vocabulary: number,
  tableRows: number,
  nameOf: (param: string) => string,
  derive: ReadonlyMap<string, (t: Tensor) => Tensor> = new Map(),
): Map<string, Tensor> {
  const params = new Map<string, Tensor>();
  const used = new Set<string>();
  for (const [param, shape] of expectedShapes(nodes, vocabulary, tableRows)) {
    const name = nameOf(param);
    const found = checkpoint.tensors.get(name);
    if (!found) {
      throw new RangeError(
        `Cannot read the checkpoint: tensor "${name}" (${param}) is missing`,
      );
    }
    used.add(name);
    const tensor = derive.get(param)?.(found) ?? found;
    if (
      sizeOf(tensor.shape) !== sizeOf(shape) || tensor.shape[0] !== shape[0]
    ) {
      throw new RangeError(
        `Cannot read the checkpoint: tensor "${name}" must have shape [${shape}]: current shape is [${tensor.shape}]`,
      );
    }
    params.set(param, reshape(tensor, shape));
  }
  const unused = [...checkpoint.tensors.keys()].filter((n) => !used.has(n));
  if (unused.length > 0) {
    throw new RangeError(
      `Cannot read the checkpoint: ${unused.length} tensors have no place in the model, the first is "${
        unused[0]
      }"`,
    );
  }
  return params;
}
