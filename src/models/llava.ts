/**
 * LLaVA: a CLIP or SigLIP tower whose output is taken between two blocks, two
 * linears with an activation between them, and a Llama or Qwen2 decoder
 * (transformers: `llava`, for example LLaVA 1.5 and JoyCaption, and
 * `llava_onevision`). LLaVA-OneVision adds a learned row after each picture.
 * Pictures are not tiled here, as in the original for prompts with several.
 * @module
 */
import type { ModelInfo } from "../graph/info.ts";
import type { Model } from "../graph/node.ts";
import { reshape, type Tensor } from "../tensor/tensor.ts";
import { activation, decoder, decoderBlock, stopIds } from "./block.ts";
import { Builder } from "./builder.ts";
import {
  bind,
  type Checkpoint,
  decoderNames,
  naming,
  type Source,
} from "./checkpoint.ts";
import { clip, clipNames, clipOf, clipSource } from "./clip.ts";
import { Config } from "./config.ts";
import { placeholders } from "./placeholders.ts";
import { maxPositions } from "./rope.ts";
import { type Siglip, siglipNames, siglipOf, siglipStream } from "./siglip.ts";

/** Defaults of LlamaConfig and Qwen2Config. */
const TEXT: Readonly<Record<string, Record<string, unknown>>> = {
  llama: {
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    max_position_embeddings: 2048,
    vocab_size: 32000,
    eos_token_id: 2,
  },
  qwen2: {
    hidden_size: 4096,
    intermediate_size: 22016,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    max_position_embeddings: 32768,
    vocab_size: 151936,
  },
};

/** A tower and the layer whose output is used. */
interface Tower extends Siglip {
  readonly kind: "clip" | "siglip";
}

/** Builds the model that a LLaVA checkpoint holds. */
export function llava(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", [
    "llava",
    "llava_onevision",
  ]);
  const newline = architecture === "llava_onevision";
  const v = config.object("vision_config"), t = textOf(config);
  const tower = towerOf(config, v, newline ? "siglip" : "clip");
  const { patch, block: { dim } } = tower;
  const fallback = tower.kind === "clip" ? 224 : newline ? 384 : 224;
  const side = Math.floor(v.side("image_size", fallback) / patch);
  const text = decoderBlock(t), vocabulary = t.size("vocab_size");

  const g = new Builder(), patches = side ** 2;
  const bias = { bias: config.flag("multimodal_projector_bias", true) };
  const seen = tower.kind === "clip"
    ? clip(g, tower, patches)
    : (siglipStream(g, tower), g.residualRead("vision.peek", "vision", dim));
  const up = g.linear("connector.up", seen, dim, text.dim, bias);
  const fn = activation(config, "projector_hidden_act", "gelu");
  const h = g.activation("connector.act", fn, text.dim, up);
  const rows = g.linear("connector.down", h, text.dim, text.dim, bias);
  const image = newline
    ? g.concatRows("image", [
      rows,
      g.learnedEmbedding("newline", text.dim, { rows: 1 }),
    ])
    : rows;
  decoder(g, image, text, {
    layers: t.layers("num_hidden_layers"),
    vocabulary,
    tied: config.flag("tie_word_embeddings", false) ||
      t.flag("tie_word_embeddings", false),
  });

  const tokens = patches + (newline ? 1 : 0);
  const tokenId = config.id(
    config.has("image_token_index") ? "image_token_index" : "image_token_id",
    newline ? 151646 : 32000,
  );
  const token = checkpoint.textOf?.([tokenId]) ?? "<image>";
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: maxPositions(t),
    stopIds: stopIds(config, t),
    image: {
      height: side * patch,
      width: side * patch,
      patchSize: patch,
      tokens,
      tokenId,
      text: placeholders(token, tokens),
    },
  };
  const { tensors, sourceOf } = sources(checkpoint, tower, text.dim);
  const start = patches + (tower.kind === "clip" ? 1 : 0);
  return {
    info,
    nodes: g.nodes,
    params: bind(
      { ...checkpoint, tensors },
      g.nodes,
      vocabulary,
      start,
      sourceOf,
    ),
  };
}

/** The text_config with defaults. */
function textOf(config: Config): Config {
  const t = config.object("text_config");
  const type = t.choice("model_type", ["llama", "qwen2", "qwen3"], "llama");
  return Object.hasOwn(TEXT, type) ? t.or(TEXT[type]) : t;
}

/** The tower up to the block whose output is used. */
function towerOf(
  config: Config,
  v: Config,
  usual: Tower["kind"],
): Tower {
  const type = v.choice(
    "model_type",
    ["clip_vision_model", "siglip_vision_model"],
    `${usual}_vision_model`,
  );
  const kind = type === "clip_vision_model" ? "clip" : "siglip";
  const strategy = config.choice(
    "vision_feature_select_strategy",
    ["default", "full"],
    usual === "clip" ? "default" : "full",
  );
  if ((strategy === "default") !== (kind === "clip")) {
    throw new RangeError(
      `Cannot build LLaVA: vision_feature_select_strategy must be "default" with a CLIP tower, whose class token it leaves out, and "full" with a SigLIP tower, which has none: it is "${strategy}" with ${type}`,
    );
  }
  const tower = kind === "clip" ? clipOf(v) : siglipOf(v);
  const layer = config.number(
    "vision_feature_layer",
    usual === "clip" ? -2 : -1,
  );
  const layers = layer < 0 ? tower.layers + 1 + layer : layer;
  if (!Number.isInteger(layers) || layers < 1 || layers > tower.layers) {
    throw new RangeError(
      `Cannot build LLaVA: vision_feature_layer must be a layer of the ${tower.layers}, from the end or the beginning: it is ${layer}`,
    );
  }
  return { ...tower, layers, kind };
}

/**
 * Sources of the parameters, and the tensors of the file without unused ones
 * (layers after the last used one).
 */
function sources(
  { tensors }: Checkpoint,
  { kind, layers }: Tower,
  width: number,
): {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly sourceOf: (param: string) => Source;
} {
  // Files of transformers 4, and those that keep the module names of 5.
  const saved = tensors.has("multi_modal_projector.linear_1.weight");
  const root = saved ? "" : "model.";
  const below = `${root}vision_tower.`;
  const at =
    tensors.has(`${below}vision_model.embeddings.patch_embedding.weight`)
      ? `${below}vision_model.`
      : below;
  const nameOf = naming([
    ...(kind === "clip" ? clipNames : siglipNames)(at),
    [/^connector\.up\./, `${root}multi_modal_projector.linear_1.`],
    [/^connector\.down\./, `${root}multi_modal_projector.linear_2.`],
    [/^newline\.weight/, `${root}image_newline`],
    ...(saved
      ? decoderNames("language_model.model.", "language_model.lm_head.")
      : decoderNames("model.language_model.", "lm_head.")),
  ]);
  const unread = (name: string) => {
    if (!name.startsWith(at)) return false;
    const rest = name.slice(at.length);
    const [, layer] = /^encoder\.layers\.(\d+)\./.exec(rest) ?? [];
    return layer === undefined
      ? /^(post_layernorm|head)\.|^embeddings\.position_ids$/.test(rest)
      : Number(layer) >= layers;
  };
  return {
    tensors: new Map([...tensors].filter(([name]) => !unread(name))),
    sourceOf: (param) => {
      const name = nameOf(param);
      if (param === "newline.weight") {
        return { from: [name], make: (t) => reshape(t, [1, width]) };
      }
      return kind === "clip" && clipSource(param, at) || name;
    },
  };
}
