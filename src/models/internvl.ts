/**
 * InternVL 2, 2.5 and 3: InternViT (class token, LayerScale, no final norm),
 * pixel shuffle, LayerNorm over the shuffled row, a two-layer connector, and a
 * Qwen2, Llama or InternLM2 decoder. Two layouts: transformers' `internvl`, and
 * the original `internvl_chat` (modeling_intern_vit.py,
 * modeling_internvl_chat.py) with its fused qkv. One image tile. The class
 * token is first in both originals and last here: attention without mask and
 * rotary embedding is invariant to that, and dropping it keeps the first rows
 * in place.
 * @module
 */
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
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
import {
  internlm2Block,
  internlm2Names,
  internlm2Source,
} from "./internlm2.ts";
import { classTokenLast } from "./patch.ts";
import { placeholders } from "./placeholders.ts";
import { maxPositions } from "./rope.ts";

type Names = readonly (readonly [RegExp, string])[];

/** Names of transformers' layout, below `vision` and `connector`. */
const names = (vision: string, connector: string, text: Names): Names => [
  [/^vision\.patch\./, `${vision}embeddings.patch_embeddings.projection.`],
  [
    /^vision\.(\d+)\.norm1\./,
    `${vision}encoder.layer.$1.layernorm_before.`,
  ],
  [/^vision\.(\d+)\.norm2\./, `${vision}encoder.layer.$1.layernorm_after.`],
  [
    /^vision\.(\d+)\.([qkv])\./,
    `${vision}encoder.layer.$1.attention.$2_proj.`,
  ],
  [
    /^vision\.(\d+)\.([qk])norm\./,
    `${vision}encoder.layer.$1.attention.$2_norm.`,
  ],
  [
    /^vision\.(\d+)\.o\./,
    `${vision}encoder.layer.$1.attention.projection_layer.`,
  ],
  [
    /^vision\.(\d+)\.scale([12])\.weight/,
    `${vision}encoder.layer.$1.lambda_$2`,
  ],
  [/^vision\.(\d+)\.up\./, `${vision}encoder.layer.$1.mlp.fc1.`],
  [/^vision\.(\d+)\.down\./, `${vision}encoder.layer.$1.mlp.fc2.`],
  [/^connector\.norm\./, `${connector}layer_norm.`],
  [/^connector\.up\./, `${connector}linear_1.`],
  [/^connector\.down\./, `${connector}linear_2.`],
  ...text,
];

/** Names of the original layout. */
const ORIGINAL: Names = [
  [/^vision\.patch\./, "vision_model.embeddings.patch_embedding."],
  [
    /^vision\.(\d+)\.norm([12])\./,
    "vision_model.encoder.layers.$1.norm$2.",
  ],
  [/^vision\.(\d+)\.[qkv]\./, "vision_model.encoder.layers.$1.attn.qkv."],
  [
    /^vision\.(\d+)\.([qk])norm\./,
    "vision_model.encoder.layers.$1.attn.$2_norm.",
  ],
  [/^vision\.(\d+)\.o\./, "vision_model.encoder.layers.$1.attn.proj."],
  [
    /^vision\.(\d+)\.scale([12])\.weight/,
    "vision_model.encoder.layers.$1.ls$2",
  ],
  [/^vision\.(\d+)\.up\./, "vision_model.encoder.layers.$1.mlp.fc1."],
  [/^vision\.(\d+)\.down\./, "vision_model.encoder.layers.$1.mlp.fc2."],
  [/^connector\.norm\./, "mlp1.0."],
  [/^connector\.up\./, "mlp1.1."],
  [/^connector\.down\./, "mlp1.3."],
];

/** Names of the tensors, the position table and the class token. */
interface Layout {
  readonly nameOf: (param: string) => string;
  readonly position: string;
  readonly classToken: string;
}

function layoutOf(
  { tensors }: Checkpoint,
  original: boolean,
  internlm2: boolean,
): Layout {
  if (original) {
    const at = "vision_model.embeddings.", below = "language_model.";
    const text = internlm2
      ? internlm2Names(below)
      : decoderNames(`${below}model.`, `${below}lm_head.`);
    return {
      nameOf: naming([...ORIGINAL, ...text]),
      position: `${at}position_embedding`,
      classToken: `${at}class_embedding`,
    };
  }
  // Files of transformers' save_pretrained, then those that keep its module names.
  const saved = tensors.has("vision_tower.embeddings.cls_token");
  const [prefix, text] = saved
    ? ["", decoderNames("language_model.model.", "language_model.lm_head.")]
    : ["model.", decoderNames("model.language_model.", "lm_head.")];
  const vision = `${prefix}vision_tower.`;
  return {
    nameOf: naming(names(vision, `${prefix}multi_modal_projector.`, text)),
    position: `${vision}embeddings.position_embeddings`,
    classToken: `${vision}embeddings.cls_token`,
  };
}

// long because a model is described once, from its first layer to its last
/** Builds the model that an InternVL checkpoint holds. */
export function internvl(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", [
    "internvl",
    "internvl_chat",
  ]);
  const original = architecture === "internvl_chat";
  const v = config.object("vision_config");
  const t = config.object(original ? "llm_config" : "text_config");
  const { dim, ...tower } = towerOf(v, original);
  const factor = Math.round(1 / config.number("downsample_ratio", 0.5));
  const patch = v.side("patch_size", 14), size = v.side("image_size", 448);
  const side = size / patch, vocabulary = t.size("vocab_size");
  if (!Number.isInteger(side / factor)) {
    throw new RangeError(
      `Cannot build ${architecture}: the image's side must be patch_size times a multiple of ${factor}: it is ${size} with patch_size ${patch}`,
    );
  }
  const internlm2 = original &&
    t.choice("model_type", ["qwen2", "qwen3", "llama", "internlm2"]) ===
      "internlm2";
  if (original) config.choice("ps_version", ["v2"]);
  else {
    config.choice("vision_feature_select_strategy", ["default"], "default");
    if (config.number("vision_feature_layer", -1) !== -1) {
      throw new RangeError(
        `Cannot build ${architecture}: vision_feature_layer must be -1`,
      );
    }
  }

  const g = new Builder(), patches = side * side;
  const text = internlm2 ? internlm2Block(t) : decoderBlock(t);
  g.residualAdd("vision", g.learnedEmbedding("vision.position", dim));
  const pixels = g.patchInput("vision.pixels", 3 * patch * patch, {
    extraRows: 1,
  });
  const seen = g.linear("vision.patch", pixels, 3 * patch * patch, dim, {
    bias: true,
  });
  g.residualAdd("vision", seen);
  for (let i = 0; i < v.layers("num_hidden_layers"); i++) {
    block(g, `vision.${i}`, { dim, ...tower });
  }
  const wide = dim * factor ** 2;
  const kept = g.sliceRows(
    "vision.take",
    g.residualRead("vision.read", "vision", dim),
    patches,
  );
  g.residualAdd(
    "connector",
    g.pixelShuffle("vision.shuffle", kept, dim, factor),
  );
  const x = g.norm("connector.norm", "connector", wide, "layer", 1e-5);
  const bias = { bias: true };
  const up = g.linear("connector.up", x, wide, text.dim, bias);
  const act = activation(config, "projector_hidden_act", "gelu");
  const h = g.activation("connector.act", act, text.dim, up);
  const image = g.linear("connector.down", h, text.dim, text.dim, bias);
  decoder(g, image, text, {
    layers: t.layers("num_hidden_layers"),
    vocabulary,
    tied: original
      ? t.flag("tie_word_embeddings", false)
      : config.flag("tie_word_embeddings", t.flag("tie_word_embeddings", true)),
  });

  const tokens = patches / factor ** 2;
  const context = placeholders("<IMG_CONTEXT>", tokens);
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: maxPositions(t),
    stopIds: original
      ? turnEndFirst(checkpoint, stopIds(config, t))
      : stopIds(config, t),
    image: {
      height: size,
      width: size,
      patchSize: patch,
      tokens,
      tokenId: original
        ? checkpoint.idOf?.("<IMG_CONTEXT>") ??
          config.id("img_context_token_id")
        : config.id("image_token_id"),
      text: `<img>${context}</img>`,
      tiles: {
        begin: "<img>",
        tile: context,
        rowEnd: "",
        end: `${context}</img>`,
      },
    },
  };
  const { nameOf, position, classToken } = layoutOf(
    checkpoint,
    original,
    internlm2,
  );
  const sourceOf = (param: string): Source => {
    if (param === "vision.position.weight") {
      return { from: [position, classToken], make: classTokenLast };
    }
    const part = /^vision\.\d+\.([qkv])\./.exec(param)?.[1];
    if (!original || part === undefined) {
      const name = nameOf(param);
      return internlm2 && internlm2Source(param, name, text) || name;
    }
    const at = "qkv".indexOf(part) * dim; // [3·width, …]: q, then k, then v
    return { from: [nameOf(param)], make: (w) => rowsOf(w, at, at + dim) };
  };
  return {
    info,
    nodes: g.nodes,
    params: bind(checkpoint, g.nodes, vocabulary, patches + 1, sourceOf),
  };
}

/**
 * Puts the end-of-turn token first among the stop ids: the original's code
 * stops there, and its config may not contain it.
 */
function turnEndFirst({ idOf }: Checkpoint, ids: number[]): number[] {
  const end = idOf?.("<|im_end|>");
  return end === undefined || ids.includes(end) ? ids : [end, ...ids];
}

/** InternViT's block. */
function towerOf(v: Config, original: boolean): Block {
  const dim = v.size("hidden_size"), heads = v.size("num_attention_heads");
  for (
    const [field, built] of [
      ["use_mask_token", false],
      ["use_mean_pooling", true],
      ["use_absolute_position_embeddings", true],
    ] as const
  ) {
    if (v.flag(field, built) !== built) {
      throw new RangeError(
        `Cannot build InternViT: ${field} must be ${built}`,
      );
    }
  }
  const norm = v.choice("norm_type", ["layer_norm", "rms_norm"], "layer_norm");
  const together = v.flag(original ? "qk_normalization" : "use_qk_norm", false);
  return {
    stream: "vision",
    dim,
    ffn: v.size("intermediate_size"),
    heads,
    kvHeads: heads,
    headDim: dim / heads,
    norm: norm === "rms_norm" ? "rms" : "layer",
    eps: v.number("layer_norm_eps", 1e-6),
    ...(together ? { qkNorm: "together" } : {}),
    bias: {
      qkv: v.flag(original ? "qkv_bias" : "attention_bias", false),
      o: true,
      mlp: true,
    },
    activation: activation(v, "hidden_act", "gelu"),
    gated: false,
    attention: { mask: "full" },
    layerScale: true,
  };
}
