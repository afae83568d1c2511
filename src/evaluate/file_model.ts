/**
 * A model file as the quantizer's result again, so that the interpreter can run
 * what the kernels run, and look inside.
 * @module
 */
import type { ModelFile } from "../format/model_file.ts";
import { floatTensor } from "../format/safetensors.ts";
import type { Prefix } from "../graph/runner.ts";
import {
  groupScale,
  headScale,
  prefixValues,
  weightScale,
} from "../graph/names.ts";
import type { Node } from "../graph/node.ts";
import type { IntegerWeight } from "../quantize/gptq.ts";
import type { Quantized } from "../quantize/quantize.ts";
import type { Recipe } from "../quantize/recipe.ts";
import type { StaticModel } from "../graph/static_model.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Codes of `count` elements as stored: two of 4 bits per byte, element 2j in the low nibble, or one each. */
export function codesOf(stored: ArrayLike<number>, bits: number): Int8Array {
  if (bits > 4) return Int8Array.from(stored);
  const codes = new Int8Array(stored.length * 2);
  for (let i = 0; i < stored.length; i++) {
    codes[2 * i] = (stored[i] << 28) >> 28;
    codes[2 * i + 1] = (stored[i] << 24) >> 28;
  }
  return codes;
}

/** The quantized model in a file, which must stay open; `recipe` is what it was made by. */
export function fromFile(
  { file, nodes, info, bits }: StaticModel,
  recipe: Recipe,
): Quantized {
  const weights = new Map<string, IntegerWeight>();
  const vectors = new Map<string, Float32Array>();
  const params = new Map<string, Tensor>();
  for (const [name, stored] of file.tensors) {
    const width = bits.get(name);
    if (width !== undefined) {
      const scale = file.tensor(weightScale(name)).read() as Float32Array;
      const codes = codesOf(stored.read() as Int8Array, width);
      const n = scale.length, k = codes.length / n;
      weights.set(name, {
        bits: width,
        n,
        k,
        codes,
        scale,
        ...groupsOf(file, name, k),
      });
    } else if (stored.dtype === "F32") {
      params.set(name, floatTensor(stored));
      vectors.set(name, stored.read() as Float32Array);
    }
  }
  const prefix = prefixOf(file, nodes, vectors);
  const model = { info, nodes, params };
  return {
    model,
    recipe,
    weights,
    vectors,
    ...(prefix.size > 0 ? { prefix } : {}),
  };
}

function groupsOf({ tensors }: ModelFile, name: string, k: number) {
  const stored = tensors.get(groupScale(name));
  if (!stored) return {};
  return {
    group: k / stored.shape[1],
    groupScale: stored.read() as Uint8Array,
  };
}

/** Keys and values of the tokens in front: codes times the scale of their head. */
function prefixOf(
  { tensors }: ModelFile,
  nodes: readonly Node[],
  vectors: ReadonlyMap<string, Float32Array>,
): Prefix {
  const prefix: Prefix = new Map();
  for (const node of nodes) {
    if (node.op !== "attention") continue;
    const rows = (part: "k" | "v") => {
      const stored = tensors.get(prefixValues(node, part));
      if (!stored) return undefined;
      const scales = vectors.get(headScale(node, part))!;
      const width = scales.length * node.headDim;
      return Float32Array.from(
        stored.read() as Int8Array,
        (code, i) => code * scales[Math.floor(i % width / node.headDim)],
      );
    };
    const k = rows("k"), v = rows("v");
    if (k && v) prefix.set(node.id, { k, v });
  }
  return prefix;
}
