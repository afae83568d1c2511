/**
 * Prefix tokens: their keys and values are in the cache from the start, in the first
 * slots.
 * @module
 */
import { prefixValues } from "../../graph/names.ts";
import type { AttentionNode } from "../../graph/node.ts";
import { cacheBytes, keyOffset, valueOffset } from "../../kernels/layout.ts";
import type { Lowering } from "./context.ts";

/** Initial contents of a cache of `capacity` slots; undefined without prefix tokens. */
export function prefixFill(
  l: Lowering,
  node: AttentionNode,
  part: "k" | "v",
  capacity: number,
): (() => Int8Array) | undefined {
  const { prefix } = l.model.info, { kvHeads, headDim: d } = node;
  if (!prefix) return undefined;
  if (prefix.length >= capacity) {
    throw l.error(
      `its context must be longer than its ${prefix.length} prefix tokens: it has ${capacity} tokens`,
    );
  }
  return () => {
    const name = prefixValues(node, part);
    const values = l.model.file.tensor(name).read() as Int8Array;
    const all = new Int8Array(cacheBytes(kvHeads, capacity, d));
    for (let i = 0; i < values.length; i++) {
      const slot = Math.floor(i / (kvHeads * d)), c = i % d;
      const head = Math.floor(i / d) % kvHeads;
      const at = part === "k"
        ? keyOffset(slot, c, d)
        : valueOffset(slot, c, capacity);
      all[head * capacity * d + at] = values[i];
    }
    return all;
  };
}
