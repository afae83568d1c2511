/**
 * FastVLM: a convolutional tower of timm, two linears with a GELU between them,
 * and a Llama or Qwen2 decoder (transformers: `fast_vlm`). Each pixel of the
 * tower's last feature map is a row.
 * @module
 */
import type { ModelInfo } from "../graph/info.ts";
import type { Model } from "../graph/node.ts";
import { activation, decoder, decoderBlock, stopIds } from "./block.ts";
import { Builder } from "./builder.ts";
import { bind, type Checkpoint, decoderNames, naming } from "./checkpoint.ts";
import { Config } from "./config.ts";
import {
  EFFICIENTNET_LITE,
  efficientnetLite,
  efficientnetLiteSource,
  STEM_STRIDE,
} from "./efficientnet_lite.ts";
import { placeholders } from "./placeholders.ts";
import { maxPositions } from "./rope.ts";

const TOWER = "model.vision_tower.timm_model.";

/** Parameter names → the checkpoint's names, without the tower. */
const NAMES = [
  [/^connector\.up\./, "model.multi_modal_projector.linear_1."],
  [/^connector\.down\./, "model.multi_modal_projector.linear_2."],
  ...decoderNames("model.language_model.", "lm_head."),
] as const;

/** Builds the model that a FastVLM checkpoint holds. */
export function fastvlm(checkpoint: Checkpoint): Model {
  const { tensors } = checkpoint, config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["fast_vlm"]);
  const v = config.object("vision_config"), t = config.object("text_config");
  v.choice("architecture", EFFICIENTNET_LITE);
  config.choice("vision_feature_select_strategy", ["full"], "full");
  const size = v.side("image_size", 224), vocabulary = t.size("vocab_size");
  if (size % STEM_STRIDE !== 0) {
    throw new RangeError(
      `Cannot build ${architecture}: image_size must be even: it is ${size}`,
    );
  }
  const text = decoderBlock(t),
    bias = {
      bias: config.flag("multimodal_projector_bias", true),
    };

  const g = new Builder();
  const tower = efficientnetLite(g, tensors, TOWER, size);
  const up = g.linear("connector.up", tower.x, tower.width, text.dim, bias);
  const fn = activation(config, "projector_hidden_act", "gelu");
  const act = g.activation("connector.act", fn, text.dim, up);
  const image = g.linear("connector.down", act, text.dim, text.dim, bias);
  const tied = config.flag(
    "tie_word_embeddings",
    t.flag("tie_word_embeddings", false),
  );
  const layers = t.layers("num_hidden_layers");
  decoder(g, image, text, { layers, vocabulary, tied });

  const tokens = tower.side ** 2,
    tokenId = config.id(
      config.has("image_token_id") ? "image_token_id" : "image_token_index",
    );
  const token = checkpoint.textOf?.([tokenId]) ?? "<image>";
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: maxPositions(t),
    stopIds: stopIds(config, t),
    image: {
      height: size,
      width: size,
      patchSize: STEM_STRIDE,
      tokens,
      tokenId,
      text: placeholders(token, tokens),
    },
  };
  const nameOf = naming(NAMES);
  return {
    info,
    nodes: g.nodes,
    params: bind(
      checkpoint,
      g.nodes,
      vocabulary,
      (size / STEM_STRIDE) ** 2,
      (param) => efficientnetLiteSource(tensors, TOWER, param) ?? nameOf(param),
    ),
  };
}
