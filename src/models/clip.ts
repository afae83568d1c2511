/**
 * The CLIP tower of transformers (models/clip/modeling_clip.py): a class token,
 * learned positions, a patch convolution without bias, a norm before usual
 * blocks. Users read the stream between two blocks. The class token's row is
 * last here; attention without a mask is invariant to that.
 * @module
 */
import { activation, block, towerBlock } from "./block.ts";
import type { Builder } from "./builder.ts";
import type { Source } from "./checkpoint.ts";
import type { Config } from "./config.ts";
import { classTokenLast } from "./patch.ts";
import { type Siglip, siglipNames } from "./siglip.ts";

/** Sizes from a `vision_config`, with the defaults of CLIPVisionConfig. */
export function clipOf(v: Config): Siglip {
  return {
    block: towerBlock({
      dim: v.size("hidden_size", 768),
      ffn: v.size("intermediate_size", 3072),
      heads: v.size("num_attention_heads", 12),
      activation: activation(v, "hidden_act", "quick_gelu"),
      eps: v.number("layer_norm_eps", 1e-5),
    }),
    layers: v.layers("num_hidden_layers", 12),
    patch: v.side("patch_size", 32),
  };
}

/**
 * Adds the tower to the graph; returns the rows of `patches` patches after the
 * last block.
 */
export function clip(
  g: Builder,
  { block: c, layers, patch }: Siglip,
  patches: number,
): string {
  const wide = 3 * patch * patch, { dim, norm, eps } = c;
  g.residualAdd("pixels", g.learnedEmbedding("vision.position", dim));
  const pixels = g.patchInput("vision.pixels", wide, { extraRows: 1 });
  g.residualAdd("pixels", g.linear("vision.patch", pixels, wide, dim));
  g.residualAdd("vision", g.norm("vision.pre", "pixels", dim, norm, eps));
  for (let i = 0; i < layers; i++) block(g, `vision.${i}`, c);
  const seen = g.residualRead("vision.peek", "vision", dim);
  return g.sliceRows("vision.take", seen, patches);
}

/** Tensor names below `at`. */
export function clipNames(at: string): (readonly [RegExp, string])[] {
  return [[/^vision\.pre\./, `${at}pre_layrnorm.`], ...siglipNames(at)];
}

/** Source of a parameter that is not a single tensor. */
export function clipSource(param: string, at: string): Source | undefined {
  if (param !== "vision.position.weight") return undefined;
  const names = ["position_embedding.weight", "class_embedding"];
  return {
    from: names.map((name) => `${at}embeddings.${name}`),
    make: classTokenLast,
  };
}
