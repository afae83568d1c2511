/**
 * A model file as the quantizer's result again, so that the interpreter can run
 * what the kernels run, and look inside.
 * @module
 */
import { floatTensor } from "../format/safetensors.ts";
import type { Prefix } from "../graph/interpreter.ts";
import {
  groupScale,
  headScale,
  prefixCodes,
  weightScale,
} from "../graph/names.ts";
import type { IntegerWeight } from "../quantize/gptq.ts";
import type { Quantized } from "../quantize/quantize.ts";
import type { Recipe } from "../quantize/recipe.ts";
import type { StaticModel } from "../runtime/static_model.ts";
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
  { file, nodes, info, bits, groups }: StaticModel,
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
      const group = groups.get(name), of = groupScale(name);
      weights.set(name, {
        ...{ bits: width, n, k, codes, scale },
        ...(group === undefined
          ? {}
          : { group, groupScale: file.tensor(of).read() as Uint8Array }),
      });
    } else if (stored.dtype === "F32") {
      params.set(name, floatTensor(stored));
      vectors.set(name, stored.read() as Float32Array);
    }
  }
  const result = { model: { info, nodes, params }, recipe, weights, vectors };
  return info.prefix ? { ...result, prefix: prefixIn(file, nodes) } : result;
}

/** Keys and values of the tokens in front of every conversation. */
function prefixIn(
  file: StaticModel["file"],
  nodes: StaticModel["nodes"],
): Prefix {
  const prefix: Prefix = new Map();
  for (const node of nodes) {
    if (node.op !== "attend" || node.phase !== "text") continue;
    const d = node.headDim;
    const part = (name: "k" | "v") => {
      const scale = file.tensor(headScale(node, name)).read() as Float32Array;
      const codes = file.tensor(prefixCodes(node, name)).read() as Int8Array;
      return Float32Array.from(
        codes,
        (c, i) => c * scale[Math.floor(i / d) % node.kvHeads],
      );
    };
    prefix.set(node.id, { k: part("k"), v: part("v") });
  }
  return prefix;
}
