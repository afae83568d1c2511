/**
 * LFM2-VL: a SigLIP 2 tower for native resolution, 2 × 2 patches through two
 * linears, and a decoder with mostly short gated convolutions instead of
 * attention (transformers: `lfm2_vl`, models/lfm2_vl and models/lfm2).
 * @module
 */
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import { reshape, type Tensor } from "../tensor/tensor.ts";
import {
  activation,
  type Block,
  decoder,
  feedForward,
  stopIds,
} from "./block.ts";
import { Builder } from "./builder.ts";
import {
  bind,
  type Checkpoint,
  naming,
  rowsOf,
  type Source,
} from "./checkpoint.ts";
import { Config } from "./config.ts";
import { pixelsByChannel } from "./patch.ts";
import { transposed } from "./rows.ts";
import { siglip, siglipNames, siglipOf, towerTensorName } from "./siglip.ts";
import { maxPositions, rope } from "./rope.ts";

const TEXT = "model.language_model.", LAYER = `${TEXT}layers.$1.`;

/** Parameter names → the checkpoint's names. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  ...siglipNames("model.vision_tower."),
  [/^connector\.norm\./, "model.multi_modal_projector.layer_norm."],
  [/^connector\.up\./, "model.multi_modal_projector.linear_1."],
  [/^connector\.down\./, "model.multi_modal_projector.linear_2."],
  [/^text\.embed\./, `${TEXT}embed_tokens.`],
  [/^text\.(\d+)\.norm1\./, `${LAYER}operator_norm.`],
  [/^text\.(\d+)\.norm2\./, `${LAYER}ffn_norm.`],
  [/^text\.(\d+)\.([qk])norm\./, `${LAYER}self_attn.$2_layernorm.`],
  [/^text\.(\d+)\.([qkv])\./, `${LAYER}self_attn.$2_proj.`],
  [/^text\.(\d+)\.o\./, `${LAYER}self_attn.out_proj.`],
  [/^text\.(\d+)\.(before|behind|in)\./, `${LAYER}conv.in_proj.`],
  [/^text\.(\d+)\.conv\./, `${LAYER}conv.conv.`],
  [/^text\.(\d+)\.out\./, `${LAYER}conv.out_proj.`],
  [/^text\.(\d+)\.gate\./, `${LAYER}feed_forward.w1.`],
  [/^text\.(\d+)\.up\./, `${LAYER}feed_forward.w3.`],
  [/^text\.(\d+)\.down\./, `${LAYER}feed_forward.w2.`],
  [/^text\.norm\./, `${TEXT}embedding_norm.`],
  [/^text\.head\./, "lm_head."],
];

/** Kernel size of a convolution, and whether it has biases. */
interface Conv {
  readonly taps: number;
  readonly bias: boolean;
}

/** Builds the model that an LFM2-VL checkpoint holds. */
export function lfm2vl(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["lfm2_vl"]);
  const v = config.object("vision_config"), t = config.object("text_config");
  const images = new Config(checkpoint.processor ?? {});
  const tower = siglipOf(v), { patch, block: { dim } } = tower;
  const factor = config.size("downsample_factor", 2);
  const size = images.size("tile_size", 512), merged = size / patch / factor;
  const table = Math.sqrt(v.size("num_patches", 256));
  if (!Number.isInteger(merged) || !Number.isInteger(table)) {
    throw new RangeError(
      `Cannot build ${architecture}: tile_size must be patch_size times a multiple of ${factor} and num_patches a square: they are ${size}, with patch_size ${patch}, and ${
        table ** 2
      }`,
    );
  }
  const text = textBlock(t), vocabulary = t.size("vocab_size", 65536);
  const conv: Conv = {
    taps: t.size("conv_L_cache", 3),
    bias: t.flag("conv_bias", false),
  };
  const layers = t.layers("num_hidden_layers", 32), attends = attention(t);

  const g = new Builder();
  const seen = siglip(g, tower, {
    gridSize: table,
    interpolation: "bilinear_antialias",
  });
  const squares = g.pixelShuffle("vision.shuffle", seen, dim, factor);
  const image = connector(g, config, squares, dim * factor ** 2, text.dim);
  decoder(g, image, text, {
    layers,
    vocabulary,
    tied: config.flag("tie_word_embeddings", true),
    layer: (i) => attends(i) ? text : (id) => convolution(g, id, text, conv),
  });

  const [begin, end] = ["<|image_start|>", "<|image_end|>"];
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: maxPositions(t, 128000),
    stopIds: stopIds(config, t),
    image: {
      height: size,
      width: size,
      patchSize: patch,
      nativeResolution: true,
      tokens: merged ** 2,
      tokenId: config.id("image_token_id", 396),
      tokenText: "<image>",
      text: `${begin}{tokens}${end}`,
      tiles: {
        begin,
        tile: "<|img_row_{row}_col_{col}|>{tokens}",
        rowEnd: "",
        end: `<|img_thumbnail|>{tokens}${end}`,
      },
    },
  };
  const source = sources(checkpoint, patch, text.dim, conv);
  return {
    info,
    nodes: g.nodes,
    params: bind(checkpoint, g.nodes, vocabulary, 0, source),
  };
}

/** A layer with attention. */
function textBlock(t: Config): Block {
  const dim = t.size("hidden_size", 2560);
  const heads = t.size("num_attention_heads", 32);
  const headDim = t.size("head_dim", dim / heads);
  return {
    stream: "text",
    dim,
    ffn: feedForwardSize(t),
    heads,
    kvHeads: t.size("num_key_value_heads", 8),
    headDim,
    qkNorm: true,
    norm: "rms",
    eps: t.number("norm_eps", 1e-5),
    bias: { qkv: false, o: false, mlp: false },
    activation: activation(t, "hidden_act", "silu"),
    gated: true,
    attention: { mask: "causal", ...rope(t, headDim, 1e6) },
  };
}

/**
 * Width of the feed-forward layer (Lfm2MLP): two thirds of the configured size,
 * rounded up to a multiple.
 */
function feedForwardSize(t: Config): number {
  const named = t.size("block_ff_dim", t.size("intermediate_size", 12288));
  if (!t.flag("block_auto_adjust_ff_dim", true)) return named;
  const unit = t.size("block_multiple_of", 256);
  const part = Math.floor(2 * named / 3);
  const wanted = Math.floor(t.number("block_ffn_dim_multiplier", 1) * part);
  return Math.ceil(wanted / unit) * unit;
}

/**
 * Whether layer i has attention: from the layer types, or from a list of
 * attention layers.
 */
function attention(t: Config): (i: number) => boolean {
  const types = t.texts("layer_types"), some = t.ids("full_attn_idxs");
  if (types.length > 0) return (i) => types[i] === "full_attention";
  return (i) => !t.has("full_attn_idxs") || some.includes(i);
}

/** The connector: squares of patches → rows of the text stream. */
function connector(
  g: Builder,
  config: Config,
  squares: string,
  wide: number,
  dim: number,
): string {
  let x = squares;
  if (config.flag("projector_use_layernorm", true)) {
    g.residualAdd("connector", x);
    x = g.norm("connector.norm", "connector", wide, "layer", 1e-5);
  }
  const hidden = config.size("projector_hidden_size", 2560);
  const bias = { bias: config.flag("projector_bias", true) };
  const up = g.linear("connector.up", x, wide, hidden, bias);
  const act = activation(config, "projector_hidden_act", "gelu");
  const h = g.activation("connector.act", act, hidden, up);
  return g.linear("connector.down", h, hidden, dim, bias);
}

/** A layer with a gated convolution: gates on its input and its output. */
function convolution(
  g: Builder,
  id: string,
  c: Block,
  { taps, bias }: Conv,
): void {
  const { dim } = c, x = g.norm(`${id}.norm1`, c.stream, dim, c.norm, c.eps);
  const [inputGate, outputGate, inner] = ["before", "behind", "in"]
    .map((part) => g.linear(`${id}.${part}`, x, dim, dim, { bias }));
  const gates = { inputGate, outputGate, bias };
  const y = g.causalConv1d(`${id}.conv`, inner, dim, taps, gates);
  g.residualAdd(c.stream, g.linear(`${id}.out`, y, dim, dim, { bias }));
  feedForward(g, id, c);
}

/** Sources of the parameters. */
function sources(
  { tensors }: Checkpoint,
  patch: number,
  dim: number,
  { taps }: Conv,
): (param: string) => Source {
  const nameOf = naming(NAMES);
  return (param) => {
    const from = [
      towerTensorName(tensors, nameOf(param), "model.vision_tower."),
    ];
    if (param === "vision.patch.weight") {
      return { from, make: (w) => pixelsByChannel(w, patch) };
    }
    const part = /\.(before|behind|in)\.(weight|bias)$/.exec(param)?.[1];
    if (part) { // fused in this order
      const at = ["before", "behind", "in"].indexOf(part) * dim;
      return { from, make: (w) => rowsOf(w, at, at + dim) };
    }
    if (/\.conv\.weight$/.test(param)) { // [width, 1, taps]
      const make = (w: Tensor) => transposed(reshape(w, [dim, taps]));
      return { from, make };
    }
    return from[0];
  };
}
