/**
 * EVA2-CLIP of GLM-4V and CogVLM2 (visual.py of both): a class token, norms
 * after the sub-layers, no final norm, a convolution over 2 × 2 patches, and a
 * gated connector after a norm and a GELU.
 * @module
 */
import { activation, type Block, block, towerBlock } from "./block.ts";
import type { Builder } from "./builder.ts";
import { rowsOf, type Source } from "./checkpoint.ts";
import type { Config } from "./config.ts";
import { classTokenLast, convolutionRows } from "./patch.ts";

/** Sizes of the tower and its connector. */
export interface Eva {
  readonly tower: Block;
  readonly layers: number;
  readonly patch: number;
  /** Side of a picture in pixels. */
  readonly size: number;
  /** Channels after the convolution. */
  readonly merged: number;
  /** Channels of the text stream, and of the connector's hidden layer. */
  readonly text: number;
  readonly ffn: number;
}

/** Sizes from a `vision_config`. */
export function evaOf(
  v: Config,
  sizes: Pick<Eva, "merged" | "text" | "ffn">,
): Eva {
  const patch = v.size("patch_size"), size = v.size("image_size");
  if (!Number.isInteger(size / patch / 2)) {
    throw new RangeError(
      `Cannot build EVA2-CLIP: image_size must be an even number of patches: it is ${size}, with patch_size ${patch}`,
    );
  }
  const tower = towerBlock({
    dim: v.size("hidden_size"),
    ffn: v.size("intermediate_size"),
    heads: v.size("num_heads"),
    activation: activation(v, "hidden_act", "gelu"),
    eps: v.number("layer_norm_eps", 1e-6),
    norms: "behind",
  });
  return {
    tower,
    layers: v.layers("num_hidden_layers"),
    patch,
    size,
    ...sizes,
  };
}

/** Patches of a picture. */
export function patchesOf({ size, patch }: Eva): number {
  return (size / patch) ** 2;
}

/**
 * Adds tower and connector to the graph; returns rows of the text stream, one
 * per 2 × 2 patches.
 */
export function eva(g: Builder, c: Eva): string {
  const { dim } = c.tower, { patch, merged, text, ffn } = c;
  const wide = 3 * patch * patch, bias = { bias: true };
  g.residualAdd("vision", g.learnedEmbedding("vision.position", dim));
  const pixels = g.patchInput("vision.pixels", wide, { extraRows: 1 });
  g.residualAdd("vision", g.linear("vision.patch", pixels, wide, dim, bias));
  for (let i = 0; i < c.layers; i++) block(g, `vision.${i}`, c.tower);
  const seen = g.residualRead("vision.read", "vision", dim);
  const kept = g.sliceRows("vision.take", seen, patchesOf(c));
  const squares = g.pixelShuffle("vision.shuffle", kept, dim, 2);
  const conv = g.linear("connector.conv", squares, 4 * dim, merged, bias);
  g.residualAdd("connector", g.linear("connector.in", conv, merged, text));
  const normed = g.norm("connector.norm", "connector", text, "layer", 1e-5);
  const h = g.activation("connector.act1", "gelu", text, normed);
  const gate = g.linear("connector.gate", h, text, ffn);
  const up = g.linear("connector.up", h, text, ffn);
  const both = g.activation("connector.act2", "silu", ffn, up, gate);
  return g.linear("connector.down", both, ffn, text);
}

/** Tensor names of the originals below `vision`. */
export function evaNames(at: string): (readonly [RegExp, string])[] {
  const layer = `${at}transformer.layers.$1.`, glu = `${at}linear_proj.`;
  return [
    [/^vision\.patch\./, `${at}patch_embedding.proj.`],
    [/^vision\.(\d+)\.norm1\./, `${layer}input_layernorm.`],
    [/^vision\.(\d+)\.norm2\./, `${layer}post_attention_layernorm.`],
    [/^vision\.(\d+)\.[qkv]\./, `${layer}attention.query_key_value.`],
    [/^vision\.(\d+)\.o\./, `${layer}attention.dense.`],
    [/^vision\.(\d+)\.up\./, `${layer}mlp.fc1.`],
    [/^vision\.(\d+)\.down\./, `${layer}mlp.fc2.`],
    [/^connector\.conv\./, `${at}conv.`],
    [/^connector\.in\./, `${glu}linear_proj.`],
    [/^connector\.norm\./, `${glu}norm1.`],
    [/^connector\.gate\./, `${glu}gate_proj.`],
    [/^connector\.up\./, `${glu}dense_h_to_4h.`],
    [/^connector\.down\./, `${glu}dense_4h_to_h.`],
  ];
}

/** Sources of its parameters; undefined for a single tensor. */
export function evaSource(
  param: string,
  at: string,
  { tower: { dim } }: Eva,
  nameOf: (param: string) => string,
): Source | undefined {
  if (param === "vision.position.weight") {
    const names = ["position_embedding.weight", "cls_embedding"];
    return {
      from: names.map((n) => `${at}patch_embedding.${n}`),
      make: classTokenLast,
    };
  }
  if (param === "connector.conv.weight") {
    return { from: [nameOf(param)], make: convolutionRows };
  }
  const part = /^vision\.\d+\.([qkv])\./.exec(param)?.[1];
  if (part === undefined) return undefined;
  const i = "qkv".indexOf(part) * dim;
  return { from: [nameOf(param)], make: (t) => rowsOf(t, i, i + dim) };
}
