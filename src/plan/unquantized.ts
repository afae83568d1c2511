/**
 * A stand-in for the W4A8 file of a model that is not quantized yet: it is planned to
 * predict memory and steps without reading weights.
 * @module
 */
import type { Model } from "../graph/node.ts";
import { bitsOf, FILTER_BITS, headBits } from "../quantize/bits.ts";
import { RECIPES } from "../quantize/recipe.ts";
import { checkGraph } from "../graph/check.ts";
import { tensorsOf } from "../graph/tensors.ts";
import type { StaticModel } from "../graph/static_model.ts";

/**
 * The model after the recipe's passes, except "suppress", which depends on weight
 * values and adds no weight.
 */
export function transformed(model: Model): Model {
  return RECIPES.w4a8.passes.filter((p) => p.name !== "suppress")
    .reduce((m, pass) => pass.apply(m), model);
}

/** A transformed model with the bits of `w4a8`, checked; all scales and floats are 1. */
export function unquantized({ nodes, info }: Model): StaticModel {
  const bits = new Map<string, number>();
  for (const node of nodes) {
    if (node.op === "linear" && !bits.has(node.weight)) {
      bits.set(node.weight, bitsOf(nodes, node, RECIPES.w4a8));
    }
    if (node.op === "depthwise_conv2d") bits.set(node.weight, FILTER_BITS);
    if (node.op === "embedding") bits.set(node.weight, headBits(RECIPES.w4a8));
  }
  checkGraph(nodes, info);
  const specs = tensorsOf(nodes, info, bits);
  const ones = (tensor: string) => {
    const size = specs.get(tensor)!.shape.reduce((a, b) => a * b, 1);
    return new Float32Array(size).fill(1);
  };
  const file = {
    tensor: (tensor: string) => ({ ...specs.get(tensor)!, name: tensor }),
  } as unknown as StaticModel["file"];
  const groups = new Map<string, number>();
  return { file, nodes, info, bits, groups, floats: ones, scales: ones };
}
