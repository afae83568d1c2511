/**
 * A toy of each family: the real layout at a size that float64 loops run in
 * milliseconds, with random weights; no bias, gain or mean is zero.
 * @module
 */
import { describe } from "../src/models/mod.ts";
import type { Checkpoint } from "../src/models/checkpoint.ts";
import type { Model } from "../src/graph/node.ts";
import { normal, random, seedOf } from "../src/tensor/random.ts";
import { sizeOf, type Tensor } from "../src/tensor/tensor.ts";

/** A seeded random tensor around `mean`. */
export function randomTensor(
  name: string,
  shape: number[],
  std: number,
  mean = 0,
): Tensor {
  return {
    shape,
    read() {
      const next = random(seedOf(7, name));
      return Float64Array.from(
        { length: sizeOf(shape) },
        () => mean + std * normal(next),
      );
    },
  };
}

/** config.json and tensors of a SmolVLM checkpoint of toy size. */
export function toyCheckpoint(
  { tied = true, hidden: f = 80 } = {},
): Checkpoint {
  const D = 40, F = 96, d = 48, V = 64, side = 4, patch = 4;
  const tensors = new Map<string, Tensor>();
  const add = (name: string, shape: number[], std: number, mean = 0) =>
    tensors.set(name, randomTensor(name, shape, std, mean));
  const linear = (name: string, n: number, k: number, bias: boolean) => {
    add(`${name}.weight`, [n, k], k ** -0.5, 0.02);
    if (bias) add(`${name}.bias`, [n], 0.3, 0.1);
  };
  const v = "model.vision_model";
  add(`${v}.embeddings.patch_embedding.weight`, [D, 3, patch, patch], 0.15);
  add(`${v}.embeddings.patch_embedding.bias`, [D], 0.2, 0.5);
  add(`${v}.embeddings.position_embedding.weight`, [side * side, D], 0.4, 0.3);
  for (let i = 0; i < 2; i++) {
    const l = `${v}.encoder.layers.${i}`;
    for (const n of ["layer_norm1", "layer_norm2"]) {
      add(`${l}.${n}.weight`, [D], 0.3, 1);
      add(`${l}.${n}.bias`, [D], 0.3, 0.2);
    }
    for (const n of ["q_proj", "k_proj", "v_proj", "out_proj"]) {
      linear(`${l}.self_attn.${n}`, D, D, true);
    }
    linear(`${l}.mlp.fc1`, F, D, true);
    linear(`${l}.mlp.fc2`, D, F, true);
  }
  add(`${v}.post_layernorm.weight`, [D], 0.3, 1);
  add(`${v}.post_layernorm.bias`, [D], 0.3, 0.2);
  linear("model.connector.modality_projection.proj", d, D * 4, false);
  add("model.text_model.embed_tokens.weight", [V, d], 1);
  for (let i = 0; i < 2; i++) {
    const l = `model.text_model.layers.${i}`;
    add(`${l}.input_layernorm.weight`, [d], 0.3, 1);
    add(`${l}.post_attention_layernorm.weight`, [d], 0.3, 1);
    linear(`${l}.self_attn.q_proj`, 48, d, false);
    linear(`${l}.self_attn.k_proj`, 16, d, false);
    linear(`${l}.self_attn.v_proj`, 16, d, false);
    linear(`${l}.self_attn.o_proj`, d, 48, false);
    linear(`${l}.mlp.gate_proj`, f, d, false);
    linear(`${l}.mlp.up_proj`, f, d, false);
    linear(`${l}.mlp.down_proj`, d, f, false);
  }
  add("model.text_model.norm.weight", [d], 0.3, 1);
  if (!tied) add("lm_head.weight", [V, d], 0.2);
  return {
    tensors,
    config: {
      model_type: "smolvlm",
      scale_factor: 2,
      image_token_id: 4,
      tie_word_embeddings: tied,
      eos_token_id: 5,
      vision_config: {
        hidden_size: D,
        intermediate_size: F,
        num_hidden_layers: 2,
        num_attention_heads: 5,
        num_channels: 3,
        image_size: side * patch,
        patch_size: patch,
        hidden_act: "gelu_pytorch_tanh",
        layer_norm_eps: 1e-6,
      },
      text_config: {
        model_type: "llama",
        vocab_size: V,
        hidden_size: d,
        intermediate_size: f,
        num_hidden_layers: 2,
        num_attention_heads: 6,
        num_key_value_heads: 2,
        head_dim: 8,
        hidden_act: "silu",
        rms_norm_eps: 1e-5,
        rope_theta: 1e4,
        max_position_embeddings: 128,
      },
    },
  };
}

/** The toy as a model. */
export function toyModel(options?: { tied?: boolean; hidden?: number }): Model {
  return describe(toyCheckpoint(options));
}

/** Random normalised patches of one image of the toy, [16, 48]. */
export function toyPatches(seed = 1): Float64Array {
  const next = random(seed);
  return Float64Array.from({ length: 16 * 48 }, () => normal(next) / 2);
}

/** A toy prompt with the image between text. */
export const TOY_PROMPT: readonly number[] = [
  1,
  20,
  3,
  4,
  4,
  4,
  4,
  3,
  33,
  21,
  9,
  60,
];
