/**
 * Matches a checkpoint's tensors against the parameters a graph names: every
 * tensor accounted for, missing and unused ones are errors.
 * @module
 */
import type { Node } from "../graph/node.ts";
import { recordOf } from "../graph/ops/mod.ts";
import { reshape, sizeOf, type Tensor } from "../tensor/tensor.ts";

/** A checkpoint as a model description sees it. */
export interface Checkpoint {
  /** Parsed config.json. */
  readonly config: Record<string, unknown>;
  /** Float tensors by name. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Whether two tensors are stored as the same bytes; absent where only their shapes are known. */
  readonly sameBytes?: (a: string, b: string) => boolean;
  /** Parsed preprocessor_config.json, for families whose image size stands there. */
  readonly processor?: Record<string, unknown>;
  /** Id of a token by its text, for families whose config does not name it. */
  readonly idOf?: (token: string) => number | undefined;
  /** Text of tokens, for families whose config names them by id. */
  readonly textOf?: (ids: readonly number[]) => string;
}

/** Shapes of the parameters that the nodes name. */
function shapesOf(
  nodes: readonly Node[],
  vocabulary: number,
  rows: number,
): Map<string, readonly number[]> {
  const sizes = { vocabulary, rows, prefix: 0 };
  return new Map(
    nodes.flatMap((node) => recordOf(node).tensors?.(node, sizes) ?? [])
      .filter(({ kind }) => kind === "weight" || kind === "parameter")
      .map(({ name, shape }) => [name, shape]),
  );
}

/** Where a parameter comes from: a tensor as it stands, or several and how to make it of them. */
export type Source = string | Combined;

/** A parameter made of several tensors. */
export interface Combined {
  readonly from: readonly string[];
  readonly make: (...tensors: Tensor[]) => Tensor;
}

/**
 * Rows [from, to) of a tensor, as parts of a fused projection are stored.
 * @param t [rows, ...]
 */
export function rowsOf(t: Tensor, from: number, to: number): Tensor {
  const shape = [to - from, ...t.shape.slice(1)];
  const width = sizeOf(t.shape) / t.shape[0];
  return { shape, read: () => t.read().slice(from * width, to * width) };
}

/**
 * Parameters of a graph from a checkpoint.
 * @param rows rows of a table: those of one image
 * @param sourceOf the checkpoint's tensor, or tensors, behind one of our parameters
 * @throws {RangeError} naming a missing tensor, a wrong shape, or tensors left over
 */
export function bind(
  checkpoint: Checkpoint,
  nodes: readonly Node[],
  vocabulary: number,
  rows: number,
  sourceOf: (param: string) => Source,
): Map<string, Tensor> {
  const params = new Map<string, Tensor>();
  const used = new Set<string>();
  for (const [param, shape] of shapesOf(nodes, vocabulary, rows)) {
    const source = sourceOf(param);
    const { from, make } = typeof source === "string"
      ? { from: [source], make: (t: Tensor) => t }
      : source;
    const tensor = make(...from.map((name) => {
      const found = checkpoint.tensors.get(name);
      if (!found) {
        throw new RangeError(
          `Cannot read the checkpoint: tensor "${name}" (${param}) is missing`,
        );
      }
      used.add(name);
      return found;
    }));
    if (
      sizeOf(tensor.shape) !== sizeOf(shape) || tensor.shape[0] !== shape[0]
    ) {
      throw new RangeError(
        `Cannot read the checkpoint: tensor "${
          from.join(", ")
        }" must have shape [${shape}]: current shape is [${tensor.shape}]`,
      );
    }
    params.set(param, reshape(tensor, shape));
  }
  const unused = [...checkpoint.tensors.keys()].filter((n) =>
    // what follows from θ, and what only training asks for
    !used.has(n) && !/rotary.*\.inv_freq$|\.num_batches_tracked$/.test(n)
  );
  if (unused.length > 0) {
    throw new RangeError(
      `Cannot read the checkpoint: ${unused.length} tensors are not used by the model, the first is "${
        unused[0]
      }"`,
    );
  }
  return params;
}

/**
 * A table of names: the first pattern that fits one of our parameters gives the checkpoint's name.
 * @throws {RangeError} where none fits
 */
export function naming(
  table: readonly (readonly [RegExp, string])[],
): (param: string) => string {
  return (param) => {
    for (const [pattern, name] of table) {
      if (pattern.test(param)) return param.replace(pattern, name);
    }
    throw new RangeError(`Cannot name parameter "${param}" in the checkpoint`);
  };
}

/** Names of a Llama or Qwen2 decoder below `prefix`. */
export function decoderNames(
  prefix: string,
  head: string,
): (readonly [RegExp, string])[] {
  return [
    [/^text\.embed\./, `${prefix}embed_tokens.`],
    [/^text\.(\d+)\.norm1\./, `${prefix}layers.$1.input_layernorm.`],
    [/^text\.(\d+)\.norm2\./, `${prefix}layers.$1.post_attention_layernorm.`],
    [/^text\.(\d+)\.([qk])norm\./, `${prefix}layers.$1.self_attn.$2_norm.`],
    [/^text\.(\d+)\.([qkvo])\./, `${prefix}layers.$1.self_attn.$2_proj.`],
    [/^text\.(\d+)\.(gate|up|down)\./, `${prefix}layers.$1.mlp.$2_proj.`],
    [/^text\.norm\./, `${prefix}norm.`],
    [/^text\.head\./, head],
  ];
}
