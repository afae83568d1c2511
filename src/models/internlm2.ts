/**
 * InternLM2 and 2.5, the decoders of InternVL2-2B and 8B: a Llama decoder whose
 * q, k and v are one matrix, group by group (modeling_internlm2.py).
 *
 *   wqkv rows: for each key head  [q of its query heads … | k | v], headDim each
 *
 * Beyond `max_position_embeddings` the original scales its rotary embedding
 * (dynamic NTK); here a conversation ends there, and up to there it does nothing.
 * @module
 */
import type { Tensor } from "../tensor/tensor.ts";
import { type Block, decoderBlock } from "./block.ts";
import type { Source } from "./checkpoint.ts";
import type { Config } from "./config.ts";
import { headRowsOf } from "./rows.ts";

/** The decoder block of a config. */
export function internlm2Block(t: Config): Block {
  t.object("rope_scaling").choice("type", ["dynamic", "linear"], "dynamic");
  return decoderBlock(t.with({
    model_type: "llama",
    attention_bias: t.flag("bias", false),
  }));
}

/** Parameter names → the original's names, below `prefix`. */
export function internlm2Names(
  prefix: string,
): (readonly [RegExp, string])[] {
  const layer = `${prefix}model.layers.$1.`;
  return [
    [/^text\.embed\./, `${prefix}model.tok_embeddings.`],
    [/^text\.(\d+)\.norm1\./, `${layer}attention_norm.`],
    [/^text\.(\d+)\.norm2\./, `${layer}ffn_norm.`],
    [/^text\.(\d+)\.[qkv]\./, `${layer}attention.wqkv.`],
    [/^text\.(\d+)\.o\./, `${layer}attention.wo.`],
    [/^text\.(\d+)\.gate\./, `${layer}feed_forward.w1.`],
    [/^text\.(\d+)\.up\./, `${layer}feed_forward.w3.`],
    [/^text\.(\d+)\.down\./, `${layer}feed_forward.w2.`],
    [/^text\.norm\./, `${prefix}model.norm.`],
    [/^text\.head\./, `${prefix}output.`],
  ];
}

/** Sources of q, k and v of a block; undefined for other parameters. */
export function internlm2Source(
  param: string,
  name: string,
  { heads, kvHeads, headDim }: Block,
): Source | undefined {
  const part = /^text\.\d+\.([qkv])\./.exec(param)?.[1];
  if (part === undefined) return undefined;
  const group = heads / kvHeads;
  const [from, count] = part === "q"
    ? [0, group]
    : [group + (part === "k" ? 0 : 1), 1];
  const make = (w: Tensor) => headRowsOf(w, from, group + 2, headDim, count);
  return { from: [name], make };
}
