/**
 * How many bits a weight gets under a recipe.
 * @module
 */
import type { LinearNode, Node } from "../graph/node.ts";
import type { Recipe } from "./recipe.ts";

/** Bits of the head and of embedding tables, which a head may share. */
export const headBits = ({ bits }: Recipe): number => bits.head ?? 8;

/** Bits of the filters of depthwise convolutions. */
export const FILTER_BITS = 8;

/** Bits of a linear's weight. */
export function bitsOf(
  nodes: readonly Node[],
  node: LinearNode,
  recipe: Recipe,
): number {
  if (node === nodes.at(-1)) return headBits(recipe);
  if (node.phase === "text") return recipe.bits.text;
  const joins = nodes.filter((n) =>
    (n.op === "concat_features" || n.op === "concat_rows") &&
    n.xs.includes(node.id)
  ).map((n) => n.id);
  const bridges = nodes.some((n) =>
    n.op === "residual_add" && n.phase === "text" &&
    [node.id, ...joins].includes(n.x)
  );
  if (bridges) return recipe.bits.connector;
  return nodes.some((n) => n.op === "depthwise_conv2d")
    ? recipe.bits.convolutions ?? 8
    : recipe.bits.vision;
}
