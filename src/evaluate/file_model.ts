/**
 * Reads a model file back as the quantizer's result, so that the interpreter
 * can run the same integers as the kernels and show intermediate values.
 * @module
 */
import type { ModelFile } from "../format/model_file.ts";
import { floatTensor } from "../format/safetensors.ts";
import { groupScale, weightScale } from "../graph/names.ts";
import type { TensorUse } from "../graph/op.ts";
import type { Prefix } from "../graph/runner.ts";
import type { StaticModel } from "../graph/static_model.ts";
import { tensorsOf } from "../graph/tensors.ts";
import type { IntegerWeight } from "../quantize/gptq.ts";
import type { Quantized } from "../quantize/quantize.ts";
import type { Recipe } from "../quantize/recipe.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * Unpacks `count` stored weights: two 4-bit values per byte (element 2j in the
 * low nibble), or one value per byte.
 */
export function valuesOf(stored: ArrayLike<number>, bits: number): Int8Array {
  if (bits > 4) return Int8Array.from(stored);
  const values = new Int8Array(stored.length * 2);
  for (let i = 0; i < stored.length; i++) {
    values[2 * i] = (stored[i] << 28) >> 28;
    values[2 * i + 1] = (stored[i] << 24) >> 28;
  }
  return values;
}

/**
 * The quantized model in a file.
 * @param file must stay open
 * @param recipe the recipe of the file
 */
export function fromFile(
  { file, nodes, info, bits, groups }: StaticModel,
  recipe: Recipe,
): Quantized {
  const weights = new Map<string, IntegerWeight>();
  const vectors = new Map<string, Float32Array>();
  const params = new Map<string, Tensor>();
  const prefix: Prefix = new Map();
  for (const [name, { use }] of tensorsOf(nodes, info, bits, groups)) {
    if (use.kind === "weight") {
      weights.set(name, weightOf(file, name, bits.get(name)!));
    } else if (use.kind === "parameter") {
      params.set(name, floatTensor(file.tensor(name)));
    } else if (use.kind === "static") {
      vectors.set(name, file.tensor(name).read() as Float32Array);
    } else if (use.kind === "prefix") {
      const known = prefix.get(use.node) ??
        { k: new Float32Array(), v: new Float32Array() };
      prefix.set(use.node, { ...known, [use.part]: prefixRows(file, use) });
    }
  }
  const model = { info, nodes, params };
  return {
    model,
    recipe,
    weights,
    vectors,
    ...(prefix.size > 0 ? { prefix } : {}),
  };
}

function weightOf(file: ModelFile, name: string, bits: number): IntegerWeight {
  const scale = file.tensor(weightScale(name)).read() as Float32Array;
  const values = valuesOf(file.tensor(name).read() as Int8Array, bits);
  const n = scale.length, k = values.length / n;
  const weight = { bits, n, k, values, scale };
  const stored = file.tensors.get(groupScale(name));
  if (!stored) return weight;
  const group = k / stored.shape[1];
  return { ...weight, group, groupScale: stored.read() as Uint8Array };
}

/** Keys or values of the prefix tokens: integers times the scale of their head. */
function prefixRows(
  file: ModelFile,
  { name, scale, shape: [, width] }: TensorUse & { readonly kind: "prefix" },
): Float32Array {
  const scales = file.tensor(scale).read() as Float32Array;
  const headDim = width / scales.length;
  return Float32Array.from(
    file.tensor(name).read() as Int8Array,
    (code, i) => code * scales[Math.floor(i % width / headDim)],
  );
}
