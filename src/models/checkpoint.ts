/**
 * Binds the parameters of a graph to the tensors of a checkpoint. Missing and
 * unused tensors are errors.
 * @module
 */
import type { Node } from "../graph/node.ts";
import { recordOf } from "../graph/ops/mod.ts";
import { reshape, sizeOf, type Tensor } from "../tensor/tensor.ts";

/** The parts of a checkpoint that model files use. */
export interface Checkpoint {
  /** Parsed config.json. */
  readonly config: Record<string, unknown>;
  /** Float tensors by name. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Where only names are known, or none at all: shapes are those that the model needs, and no tensor can be read. */
  readonly outline?: Outline;
  /** Whether two tensors are stored as the same bytes; absent where only their shapes are known. */
  readonly sameBytes?: (a: string, b: string) => boolean;
  /** Parsed preprocessor_config.json, for families whose image size is in it. */
  readonly processor?: Record<string, unknown>;
  /** Id of a token by its text, for families whose config does not contain it. */
  readonly idOf?: (token: string) => number | undefined;
  /** Text of tokens, for families whose config contains only ids. */
  readonly textOf?: (ids: readonly number[]) => string;
}

/** A checkpoint of which config.json is known, and names of tensors perhaps. */
export interface Outline {
  /** Hears what becomes a parameter, and the parameter's shape. */
  onSource?(
    param: string,
    shape: readonly number[],
    source: Exclude<Source, string>,
  ): void;
}

/** Shapes of the parameters of the nodes. */
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

/**
 * Source of a parameter: a tensor, or several tensors and a function that
 * combines them.
 */
export type Source = string | Combined;

/** A parameter computed from several tensors. */
export interface Combined {
  readonly from: readonly string[];
  readonly make: (...tensors: Tensor[]) => Tensor;
}

/**
 * Rows [from, to) of a tensor, for the parts of a fused projection.
 * @param t [rows, ...]
 */
export function rowsOf(t: Tensor, from: number, to: number): Tensor {
  const shape = [to - from, ...t.shape.slice(1)];
  const width = sizeOf(t.shape) / t.shape[0];
  return { shape, read: () => t.read().slice(from * width, to * width) };
}

/** A tensor of which the shape is known and nothing else. */
export function withoutValues(name: string, shape: readonly number[]): Tensor {
  const read = () => {
    throw new RangeError(`Cannot read tensor "${name}": it has no values`);
  };
  return { shape, read };
}

/**
 * Binds all parameters of a graph.
 * @param rows rows per image, for learned tables
 * @param sourceOf the source of a parameter in the checkpoint
 * @throws {RangeError} naming a missing tensor, a wrong shape, or unused
 * tensors
 */
export function bind(
  checkpoint: Checkpoint,
  nodes: readonly Node[],
  vocabulary: number,
  rows: number,
  sourceOf: (param: string) => Source,
): Map<string, Tensor> {
  const { tensors, outline } = checkpoint;
  const params = new Map<string, Tensor>();
  const used = new Set<string>();
  for (const [param, shape] of shapesOf(nodes, vocabulary, rows)) {
    const source = sourceOf(param);
    const { from, make } = typeof source === "string"
      ? { from: [source], make: (t: Tensor) => t }
      : source;
    outline?.onSource?.(param, shape, { from, make });
    if (outline && tensors.size === 0) {
      params.set(param, withoutValues(param, shape));
      continue;
    }
    const found = from.map((name) => {
      const tensor = tensors.get(name);
      if (!tensor) {
        throw new RangeError(
          `Cannot read the checkpoint: tensor "${name}" (${param}) is missing`,
        );
      }
      used.add(name);
      return tensor;
    });
    const tensor = outline ? withoutValues(param, shape) : make(...found);
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
  const unused = [...tensors.keys()].filter((n) =>
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
 * Maps parameter names to checkpoint names: the first matching pattern applies.
 * @throws {RangeError} if none matches
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
