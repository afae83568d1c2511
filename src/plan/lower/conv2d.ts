/**
 * Depthwise convolutions of int8 rows.
 * @module
 */
import { quoted } from "../../format/error.ts";
import type { DepthwiseConv2dNode } from "../../graph/node.ts";
import type { Lowering } from "./context.ts";

/** Refuses: the kernels are there, their call is not yet. */
export function lowerDepthwiseConv2d(
  l: Lowering,
  node: DepthwiseConv2dNode,
): never {
  throw l.error(`${quoted(node.id)}: convolutions run in float only`);
}
