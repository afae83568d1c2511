/**
 * Qwen2-VL and Qwen2.5-VL: a tower with 2D rotary embedding, a merger of 2×2 patches,
 * and a Qwen2 decoder with M-RoPE (transformers: `qwen2_vl`, `qwen2_5_vl`). Both the
 * flat config.json of the published checkpoints and the nested one of transformers 5
 * are supported. The tower of 2.5 has RMSNorm, gated MLPs and, in most layers, window
 * attention.
 *
 * The original orders patches by merged square, and repeats each image
 * (temporal_patch_size 2). Here patches are in row-major order: attention does not
 * depend on the order, and the pixel shuffle restores it. The two halves of the patch
 * weights are added. Images keep their aspect ratio.
 * @module
 */
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import { pixelBounds, squareSide } from "../image/smart_resize.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  activation,
  type Block,
  block,
  decoder,
  decoderBlock,
  stopIds,
} from "./block.ts";
import { Builder } from "./builder.ts";
import {
  bind,
  type Checkpoint,
  decoderNames,
  naming,
  rowsOf,
  type Source,
} from "./checkpoint.ts";
import { Config } from "./config.ts";
import { sumFrames } from "./patch.ts";
import { maxPositions } from "./rope.ts";

/** Parameter names → the published checkpoint's names. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^vision\.patch\./, "visual.patch_embed.proj."],
  [/^vision\.(\d+)\.norm([12])\./, "visual.blocks.$1.norm$2."],
  [/^vision\.(\d+)\.[qkv]\./, "visual.blocks.$1.attn.qkv."],
  [/^vision\.(\d+)\.o\./, "visual.blocks.$1.attn.proj."],
  [/^vision\.norm\./, "visual.merger.ln_q."],
  [/^connector\.up\./, "visual.merger.mlp.0."],
  [/^connector\.down\./, "visual.merger.mlp.2."],
  ...decoderNames("model.", "lm_head."),
];

/** Names of the tower's MLPs in versions 2 and 2.5. */
const MLP: readonly (readonly [RegExp, string])[] = [
  [/^vision\.(\d+)\.up\./, "visual.blocks.$1.mlp.fc1."],
  [/^vision\.(\d+)\.down\./, "visual.blocks.$1.mlp.fc2."],
];
const GATED: readonly (readonly [RegExp, string])[] = [
  [/^vision\.(\d+)\.(gate|up|down)\./, "visual.blocks.$1.mlp.$2_proj."],
];

// long because a model is described once, from its first layer to its last
/** Builds the model that a Qwen2-VL or Qwen2.5-VL checkpoint holds. */
export function qwen2vl(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["qwen2_vl", "qwen2_5_vl"]);
  const later = architecture === "qwen2_5_vl";
  const v = config.object("vision_config");
  const t = config.has("text_config") ? config.object("text_config") : config;
  const dim = later ? v.size("hidden_size") : v.size("embed_dim", 1280);
  const heads = v.size("num_heads", 16);
  const patch = v.size("patch_size", 14),
    frames = v.size("temporal_patch_size", 2);
  const factor = v.size("spatial_merge_size", 2);
  const size = squareSide(pixelBounds({
    patch_size: patch,
    merge_size: factor,
    ...checkpoint.processor,
  }));
  const side = size / patch, vocabulary = t.size("vocab_size");
  const text = decoderBlock(t);
  if (text.attention.mropeSection?.length !== 3) {
    throw new RangeError(
      `Cannot build ${architecture}: mrope_section must be three numbers`,
    );
  }
  const outer = later ? "out_hidden_size" : "hidden_size";
  if (v.size(outer, text.dim) !== text.dim) {
    throw new RangeError(
      `Cannot build ${architecture}: vision_config.${outer} must be the text tower's ${text.dim}`,
    );
  }
  const vision: Block = {
    stream: "vision",
    dim,
    ffn: later ? v.size("intermediate_size") : dim * v.number("mlp_ratio", 4),
    heads,
    kvHeads: heads,
    headDim: dim / heads,
    norm: later ? "rms" : "layer",
    eps: 1e-6,
    bias: { qkv: true, o: true, mlp: true },
    activation: activation(v, "hidden_act", later ? "silu" : "quick_gelu"),
    gated: later,
    attention: {
      mask: "full",
      ropeTheta: v.object("rope_parameters").number("rope_theta", 10000),
      rope2d: true,
    },
  };

  const window = Math.floor(v.size("window_size", 112) / patch / factor) *
    factor;
  const g = new Builder(), bias = { bias: true };
  const pixels = g.patchInput("vision.pixels", 3 * patch * patch);
  g.residualAdd(
    "vision",
    g.linear("vision.patch", pixels, 3 * patch * patch, dim),
  );
  for (let i = 0; i < v.layers("depth", 32); i++) {
    const full = !later || v.ids("fullatt_block_indexes").includes(i);
    block(
      g,
      `vision.${i}`,
      full
        ? vision
        : { ...vision, attention: { ...vision.attention, windowSize: window } },
    );
  }
  const wide = dim * factor ** 2;
  const seen = g.norm("vision.norm", "vision", dim, vision.norm, 1e-6);
  const merged = g.pixelShuffle("vision.shuffle", seen, dim, factor);
  const up = g.linear("connector.up", merged, wide, wide, bias);
  const h = g.activation("connector.act", "gelu", wide, up);
  const image = g.linear("connector.down", h, wide, text.dim, bias);
  decoder(g, image, text, {
    layers: t.layers("num_hidden_layers"),
    vocabulary,
    tied: config.flag(
      "tie_word_embeddings",
      t.flag("tie_word_embeddings", false),
    ),
  });

  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: maxPositions(t),
    stopIds: stopIds(config, t),
    image: {
      height: size,
      width: size,
      patchSize: patch,
      nativeResolution: true,
      tokens: (side / factor) ** 2,
      tokenId: config.id("image_token_id"),
      text: "<|image_pad|>",
    },
  };
  const nameOf = naming([...(later ? GATED : MLP), ...NAMES]);
  const sourceOf = (param: string): Source => {
    const name = nameOf(param);
    if (param === "vision.patch.weight") {
      const make = (w: Tensor) => sumFrames(w, frames, patch * patch);
      return { from: [name], make };
    }
    const part = /^vision\.\d+\.([qkv])\./.exec(param)?.[1];
    if (part === undefined) return name;
    const at = "qkv".indexOf(part) * dim; // [3·width, …]: q, then k, then v
    return { from: [name], make: (w) => rowsOf(w, at, at + dim) };
  };
  return {
    info,
    nodes: g.nodes,
    params: bind(checkpoint, g.nodes, vocabulary, side * side, sourceOf),
  };
}
