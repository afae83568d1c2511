/**
 * Shapes of the models that are measured: sizes alone, the weights are random.
 * Speed does not depend on what the codes are.
 * @module
 */

/** A decoder-only text tower with a tied head. */
export interface TextShape {
  /** Name in tables, and in tests/golden/real_sizes.json. */
  readonly name: string;
  /** Architecture of the checkpoint: biases on q, k, v or not. */
  readonly family: "llama" | "qwen2";
  readonly layers: number;
  readonly dim: number;
  readonly ffn: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabulary: number;
}

/** Text towers, smallest first. */
export const TEXT: readonly TextShape[] = [
  {
    name: "SmolLM2-135M",
    family: "llama",
    layers: 30,
    dim: 576,
    ffn: 1536,
    heads: 9,
    kvHeads: 3,
    headDim: 64,
    vocabulary: 49152,
  },
  {
    name: "SmolLM2-360M",
    family: "llama",
    layers: 32,
    dim: 960,
    ffn: 2560,
    heads: 15,
    kvHeads: 5,
    headDim: 64,
    vocabulary: 49152,
  },
  {
    name: "Qwen2-0.5B",
    family: "qwen2",
    layers: 24,
    dim: 896,
    ffn: 4864,
    heads: 14,
    kvHeads: 2,
    headDim: 64,
    vocabulary: 151936,
  },
  {
    name: "Qwen2-1.5B",
    family: "qwen2",
    layers: 28,
    dim: 1536,
    ffn: 8960,
    heads: 12,
    kvHeads: 2,
    headDim: 128,
    vocabulary: 151936,
  },
];

/** Model whose vision tower `SIGLIP` is, in tests/golden/real_sizes.json. */
export const SIGLIP_OF = "SmolVLM-256M";

/** Its text part: SmolLM2-135M's with the tokens of pictures. */
export const SIGLIP_TEXT: TextShape = {
  ...TEXT[0],
  name: SIGLIP_OF,
  vocabulary: 49280,
};

/** An image encoder. */
export interface VisionShape {
  readonly name: string;
  readonly layers: number;
  readonly dim: number;
  readonly ffn: number;
  readonly heads: number;
  readonly patch: number;
  /** Side of the image in pixels. */
  readonly side: number;
}

/** SigLIP-base at 512 pixels: 1024 patches, 86 million parameters. */
export const SIGLIP: VisionShape = {
  name: "SigLIP-base-16/512",
  layers: 12,
  dim: 768,
  ffn: 3072,
  heads: 12,
  patch: 16,
  side: 512,
};

/** Single products, rows × k → n. */
export const PRODUCTS: readonly (readonly [m: number, k: number, n: number])[] =
  [
    [128, 576, 1536],
    [128, 896, 4864],
    [512, 2048, 2048],
    [1, 896, 4864],
    [1, 2048, 8192],
  ];
