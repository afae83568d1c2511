/**
 * SigLIP towers of transformers (models/siglip/modeling_siglip.py; SigLIP 2
 * differs in its position table): learned positions, a patch convolution, usual
 * blocks, a final norm.
 * @module
 */
import type { LearnedEmbeddingNode } from "../graph/node.ts";
import { activation, type Block, block, towerBlock } from "./block.ts";
import type { Builder } from "./builder.ts";
import type { Config } from "./config.ts";

/** Sizes of a tower. */
export interface Siglip {
  readonly block: Block;
  readonly layers: number;
  /** Side of a patch in pixels. */
  readonly patch: number;
}

/**
 * Sizes from a `vision_config`, with the defaults of SiglipVisionConfig or the
 * given ones.
 */
export function siglipOf(
  v: Config,
  { dim = 768, heads = 12, patch = 16 } = {},
): Siglip {
  return {
    block: towerBlock({
      dim: v.size("hidden_size", dim),
      ffn: v.size("intermediate_size", 3072),
      heads: v.size("num_attention_heads", heads),
      activation: activation(v, "hidden_act", "gelu_pytorch_tanh"),
      eps: v.number("layer_norm_eps", 1e-6),
    }),
    layers: v.layers("num_hidden_layers", 12),
    patch: v.side("patch_size", patch),
  };
}

/**
 * Adds a tower's blocks to the graph.
 * @param positions how the position table is resampled
 */
export function siglipStream(
  g: Builder,
  { block: c, layers, patch }: Siglip,
  positions: Pick<LearnedEmbeddingNode, "gridSize" | "interpolation"> = {},
): void {
  const wide = 3 * patch * patch, bias = { bias: true };
  g.residualAdd(
    "vision",
    g.learnedEmbedding("vision.position", c.dim, positions),
  );
  const pixels = g.patchInput("vision.pixels", wide);
  g.residualAdd("vision", g.linear("vision.patch", pixels, wide, c.dim, bias));
  for (let i = 0; i < layers; i++) block(g, `vision.${i}`, c);
}

/** Adds a tower to the graph; returns the rows after its final norm. */
export function siglip(
  g: Builder,
  tower: Siglip,
  positions: Pick<LearnedEmbeddingNode, "gridSize" | "interpolation"> = {},
): string {
  siglipStream(g, tower, positions);
  const { dim, norm, eps } = tower.block;
  return g.norm("vision.norm", "vision", dim, norm, eps);
}

/**
 * Name of a tensor below `at`, with `vision_model` in between if the file has
 * it.
 */
export function towerTensorName(
  tensors: ReadonlyMap<string, unknown>,
  name: string,
  at: string,
): string {
  const older = name.replace(at, `${at}vision_model.`);
  return tensors.has(older) ? older : name;
}

/** Tensor names of a tower below `at`. */
export function siglipNames(at: string): (readonly [RegExp, string])[] {
  const layer = `${at}encoder.layers.$1.`;
  return [
    [/^vision\.patch\./, `${at}embeddings.patch_embedding.`],
    [/^vision\.position\./, `${at}embeddings.position_embedding.`],
    [/^vision\.(\d+)\.norm([12])\./, `${layer}layer_norm$2.`],
    [/^vision\.(\d+)\.([qkv])\./, `${layer}self_attn.$2_proj.`],
    [/^vision\.(\d+)\.o\./, `${layer}self_attn.out_proj.`],
    [/^vision\.(\d+)\.up\./, `${layer}mlp.fc1.`],
    [/^vision\.(\d+)\.down\./, `${layer}mlp.fc2.`],
    [/^vision\.norm\./, `${at}post_layernorm.`],
  ];
}
