/**
 * Gemma 3: a SigLIP tower, patches averaged to tokens, one matrix, and a
 * decoder with norms before and after its sub-layers and mostly sliding-window
 * attention (transformers: `gemma3`, models/gemma3/modeling_gemma3.py). Gains
 * are stored as differences from 1. Embeddings are multiplied by √width, the
 * head, which shares their table, is not: here the table contains the product,
 * and the last norm's gain divides by the factor. An attention scale other than
 * 1/√headDim is part of the gain of the query norms.
 * @module
 */
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import { mapTensor, type Tensor } from "../tensor/tensor.ts";
import { activation, type Block, decoder, stopIds } from "./block.ts";
import { Builder } from "./builder.ts";
import {
  bind,
  type Checkpoint,
  decoderNames,
  naming,
  type Source,
} from "./checkpoint.ts";
import { Config } from "./config.ts";
import { placeholders } from "./placeholders.ts";
import { maxPositions, rope } from "./rope.ts";
import { scaled, transposed } from "./rows.ts";
import { siglip, siglipNames, siglipOf, towerTensorName } from "./siglip.ts";

const LAYER = "language_model.model.layers.$1.";

/** Parameter names → the checkpoint's names. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  ...siglipNames("vision_tower."),
  [/^connector\.norm\./, "multi_modal_projector.mm_soft_emb_norm."],
  [
    /^connector\.weight/,
    "multi_modal_projector.mm_input_projection_weight",
  ],
  [/^text\.(\d+)\.post1\./, `${LAYER}post_attention_layernorm.`],
  [/^text\.(\d+)\.norm2\./, `${LAYER}pre_feedforward_layernorm.`],
  [/^text\.(\d+)\.post2\./, `${LAYER}post_feedforward_layernorm.`],
  ...decoderNames("language_model.model.", "language_model.lm_head."),
];

/** Builds the model that a Gemma 3 checkpoint holds. */
export function gemma3(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["gemma3"]);
  const v = config.object("vision_config"), t = config.object("text_config");
  const tower = siglipOf(v, { dim: 1152, heads: 16, patch: 14 });
  const { patch, block: { dim, eps } } = tower;
  const size = v.side("image_size", 896), side = size / patch;
  const tokens = config.size("mm_tokens_per_image", 256);
  const pool = side / Math.sqrt(tokens);
  if (!Number.isInteger(side) || !Number.isInteger(pool)) {
    throw new RangeError(
      `Cannot build ${architecture}: an image's ${tokens} tokens must be squares of its patches: its sides are ${size}, with patch_size ${patch}`,
    );
  }
  const text = textBlock(t), vocabulary = t.size("vocab_size", 262208);

  const g = new Builder(), cells = pool ** 2;
  const squares = g.pixelShuffle("vision.shuffle", siglip(g, tower), dim, pool);
  // RMSNorm of the sum equals that of the mean if eps is scaled too.
  for (let i = 0; i < cells; i++) {
    g.residualAdd("connector", squares, undefined, [i * dim, dim]);
  }
  const pooled = g.norm(
    "connector.norm",
    "connector",
    dim,
    "rms",
    eps * cells ** 2,
  );
  const image = g.linear("connector", pooled, dim, text.dim);
  const layers = t.layers("num_hidden_layers", 26), local = localLayers(t);
  const { near, far } = attentionKinds(t, text.headDim);
  decoder(g, image, text, {
    layers,
    vocabulary,
    tied: config.flag("tie_word_embeddings", true),
    layer: (i) => ({
      ...text,
      attention: local(i) ? near : far,
    }),
  });

  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: maxPositions(t, 131072),
    stopIds: stopIds(config, t),
    image: {
      height: size,
      width: size,
      patchSize: patch,
      tokens,
      tokenId: config.id("image_token_index", 262144),
      templateToken: "<start_of_image>",
      text: `\n\n<start_of_image>${
        placeholders("<image_soft_token>", tokens)
      }<end_of_image>\n\n`,
      bidirectional: true,
    },
  };
  return {
    info,
    nodes: g.nodes,
    params: bind(
      checkpoint,
      g.nodes,
      vocabulary,
      side * side,
      sources(checkpoint, t, text),
    ),
  };
}

/** A block of the decoder. */
function textBlock(t: Config): Block {
  for (const key of ["final_logit_softcapping", "attn_logit_softcapping"]) {
    if (t.has(key)) {
      throw new RangeError(`Cannot build the text tower: ${key} must be null`);
    }
  }
  if (t.flag("use_bidirectional_attention", false)) {
    throw new RangeError(
      "Cannot build the text tower: use_bidirectional_attention must be false",
    );
  }
  const biased = t.flag("attention_bias", false);
  return {
    stream: "text",
    dim: t.size("hidden_size", 2304),
    ffn: t.size("intermediate_size", 9216),
    heads: t.size("num_attention_heads", 8),
    kvHeads: t.size("num_key_value_heads", 4),
    headDim: t.size("head_dim", 256),
    qkNorm: true,
    norm: "rms",
    norms: "both",
    eps: t.number("rms_norm_eps", 1e-6),
    bias: { qkv: biased, o: biased, mlp: false },
    activation: activation(t, "hidden_activation", "gelu_pytorch_tanh"),
    gated: true,
    attention: { mask: "causal" },
  };
}

/**
 * Whether layer i has a sliding window: from a list, or in older files all but
 * every sixth.
 */
function localLayers(t: Config): (i: number) => boolean {
  const types = t.texts("layer_types");
  const every = t.size("sliding_window_pattern", 6);
  return (i) =>
    types.length > 0 ? types[i] === "sliding_attention" : (i + 1) % every !== 0;
}

/**
 * Sliding window and rotary settings of each kind of layer; older files have θ
 * and factor side by side.
 */
function attentionKinds(
  t: Config,
  headDim: number,
): Record<"near" | "far", Block["attention"]> {
  const at = t.object("rope_parameters");
  const [near, far] = ["sliding_attention", "full_attention"]
    .map((kind) => at.object(kind));
  const wide = at.has("full_attention") ? far : t.object("rope_scaling");
  const base = t.number("rope_local_base_freq", 1e4);
  return {
    near: {
      mask: "causal",
      ...rope(t.with({ rope_theta: base }), headDim, base, near),
      slidingWindow: t.size("sliding_window", 4096),
    },
    far: { mask: "causal", ...rope(t, headDim, 1e6, wide) },
  };
}

/** Sources of the parameters. */
function sources(
  { tensors }: Checkpoint,
  t: Config,
  { dim, headDim }: Block,
): (param: string) => Source {
  const nameOf = naming(NAMES), root = Math.sqrt(dim);
  const scores = Math.sqrt(headDim / t.number("query_pre_attn_scalar", 256));
  return (param) => {
    const name = towerTensorName(tensors, nameOf(param), "vision_tower.");
    const make = (f: (w: Tensor) => Tensor) => ({ from: [name], make: f });
    if (param === "text.embed.weight") return make((w) => scaled(w, root));
    if (param === "text.norm.weight") {
      return make((w) => scaled(plusOne(w), 1 / root));
    }
    if (param === "connector.weight") return make(transposed);
    if (/\.qnorm\.weight$/.test(param)) {
      return make((w) => scaled(plusOne(w), scores));
    }
    return /^(text|connector)\..*(norm|post)\d?\.weight$/.test(param)
      ? make(plusOne)
      : name;
  };
}

function plusOne(t: Tensor): Tensor {
  return mapTensor(t, (values) => values.map((x) => x + 1));
}
