/**
 * nanoVLM: a SigLIP tower, pixel shuffle, one linear and a Llama decoder, with
 * a flat config.json without `model_type` (models/config.py of the nanoVLM
 * repository). The original keeps the whole picture beside the tiles as floats;
 * here it is rounded to bytes.
 * @module
 */
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import { reshape, type Tensor } from "../tensor/tensor.ts";
import { type Block, block, decoder } from "./block.ts";
import { Builder } from "./builder.ts";
import {
  bind,
  type Checkpoint,
  naming,
  rowsOf,
  type Source,
} from "./checkpoint.ts";
import { Config } from "./config.ts";
import { placeholders } from "./placeholders.ts";
import { chatml, type Supplement } from "./supplement.ts";

/** Parameter names → the checkpoint's names. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^vision\.patch\./, "vision_encoder.patch_embedding.conv."],
  [
    /^vision\.position\.weight/,
    "vision_encoder.patch_embedding.position_embedding",
  ],
  [/^vision\.(\d+)\.norm([12])\./, "vision_encoder.blocks.$1.ln$2."],
  [/^vision\.(\d+)\.[qkv]\./, "vision_encoder.blocks.$1.attn.qkv_proj."],
  [/^vision\.(\d+)\.o\./, "vision_encoder.blocks.$1.attn.out_proj."],
  [/^vision\.(\d+)\.up\./, "vision_encoder.blocks.$1.mlp.fc1."],
  [/^vision\.(\d+)\.down\./, "vision_encoder.blocks.$1.mlp.fc2."],
  [/^vision\.norm\./, "vision_encoder.layer_norm."],
  [/^connector\./, "MP.proj."],
  [/^text\.embed\./, "decoder.token_embedding."],
  [/^text\.(\d+)\.norm([12])\./, "decoder.blocks.$1.norm$2."],
  [/^text\.(\d+)\.([qkv])\./, "decoder.blocks.$1.attn.$2_proj."],
  [/^text\.(\d+)\.o\./, "decoder.blocks.$1.attn.out_proj."],
  [/^text\.(\d+)\.(gate|up|down)\./, "decoder.blocks.$1.mlp.$2_proj."],
  [/^text\.norm\./, "decoder.norm."],
  [/^text\.head\./, "decoder.head."],
];

/** Builds the model that a nanoVLM checkpoint holds. */
export function nanovlm(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config), architecture = "nanovlm";
  const factor = config.size("mp_pixel_shuffle_factor");
  const patch = config.size("vit_patch_size"),
    size = config.size("vit_img_size");
  const side = size / patch, vocabulary = config.size("lm_vocab_size");
  if (
    !Number.isInteger(side / factor) || config.flag("vit_cls_flag", false) ||
    config.number("lm_attn_scaling", 1) !== 1
  ) {
    throw new RangeError(
      `Cannot build ${architecture}: vit_img_size must be vit_patch_size times a multiple of ${factor}, vit_cls_flag false and lm_attn_scaling 1`,
    );
  }
  const { vision, text } = towersOf(config), dim = vision.dim;

  const g = new Builder(), wide = 3 * patch * patch, bias = { bias: true };
  g.residualAdd("vision", g.learnedEmbedding("vision.position", dim));
  const pixels = g.patchInput("vision.pixels", wide);
  g.residualAdd("vision", g.linear("vision.patch", pixels, wide, dim, bias));
  for (let i = 0; i < config.layers("vit_n_blocks"); i++) {
    block(g, `vision.${i}`, vision);
  }
  const seen = g.norm("vision.norm", "vision", dim, "layer", vision.eps);
  const merged = g.pixelShuffle("vision.shuffle", seen, dim, factor);
  const image = g.linear("connector", merged, dim * factor ** 2, text.dim);
  const tied = config.flag("lm_tie_weights", true);
  const layers = config.layers("lm_n_blocks");
  decoder(g, image, text, { layers, vocabulary, tied });

  const square = {
    height: size,
    width: size,
    patchSize: patch,
    tokens: (side / factor) ** 2,
  };
  const stop = checkpoint.idOf?.("<|im_end|>");
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: config.size("lm_max_position_embeddings"),
    stopIds: stop === undefined ? [] : [stop],
    image: { ...square, ...imageOf(checkpoint, config, square.tokens) },
  };
  // Of tied tensors a file keeps the first by name, which is the head.
  const kept = tied && !checkpoint.tensors.has("decoder.token_embedding.weight")
    ? "decoder.head.weight"
    : "decoder.token_embedding.weight";
  const nameOf = naming(NAMES);
  const sourceOf = (param: string): Source => {
    if (param === "text.embed.weight") return kept;
    if (param === "vision.position.weight") { // stored [1, patches, width]
      const make = (t: Tensor) => reshape(t, t.shape.slice(1));
      return { from: [nameOf(param)], make };
    }
    const part = /^vision\.\d+\.([qkv])\./.exec(param)?.[1];
    if (part === undefined) return nameOf(param);
    const at = "qkv".indexOf(part) * dim; // [3·width, …]: q, then k, then v
    const make = (w: Tensor) => rowsOf(w, at, at + dim);
    return { from: [nameOf(param)], make };
  };
  return {
    info,
    nodes: g.nodes,
    params: bind(checkpoint, g.nodes, vocabulary, side * side, sourceOf),
  };
}

/** Image settings of the prompt. */
function imageOf({ idOf }: Checkpoint, config: Config, tokens: number) {
  const names = config.object("vlm_extra_tokens");
  const token = names.text("image_token", "<|image|>");
  const rows = placeholders(token, tokens);
  const whole = names.text("global_image_token", "") + rows;
  return {
    tokenId: idOf?.(token) ?? config.size("lm_vocab_size") - 1,
    text: whole,
    ...(cutsTiles(config) && {
      tiles: {
        begin: whole,
        tile: `<row_{row}_col_{col}>${rows}`,
        rowEnd: "",
        end: "",
      },
    }),
  };
}

/**
 * Whether tiles are supported: the vocabulary has tokens for the whole picture
 * and for each tile position.
 */
function cutsTiles(config: Config): boolean {
  const names = config.object("vlm_extra_tokens");
  return names.has("global_image_token") &&
    names.text("r1c1", "") === "<row_1_col_1>";
}

/** Its SigLIP and Llama blocks. */
function towersOf(config: Config): { vision: Block; text: Block } {
  const dim = config.size("vit_hidden_dim"), n = config.size("vit_n_heads");
  const width = config.size("lm_hidden_dim"), heads = config.size("lm_n_heads");
  const vision: Block = {
    stream: "vision",
    dim,
    ffn: config.size("vit_inter_dim"),
    heads: n,
    kvHeads: n,
    headDim: dim / n,
    norm: "layer",
    eps: config.number("vit_ln_eps", 1e-6),
    bias: { qkv: true, o: true, mlp: true },
    activation: "gelu_tanh",
    gated: false,
    attention: { mask: "full" },
  };
  const text: Block = {
    stream: "text",
    dim: width,
    ffn: config.size("lm_inter_dim"),
    heads,
    kvHeads: config.size("lm_n_kv_heads"),
    headDim: width / heads,
    norm: "rms",
    eps: config.number("lm_rms_eps", 1e-5),
    bias: { qkv: false, o: false, mlp: false },
    activation: "silu",
    gated: true,
    attention: {
      mask: "causal",
      ropeTheta: config.number("lm_re_base", 100000),
    },
  };
  return { vision, text };
}

/**
 * Settings that nanoVLM defines in code: its conversation format, and pixels
 * that are only divided by 255.
 */
export function nanovlmSupplement(config: Config): Supplement {
  const token = config.object("vlm_extra_tokens").text(
    "image_token",
    "<|image|>",
  );
  const side = config.size("vit_img_size");
  return {
    template: chatml(token),
    processor: {
      size: { height: side, width: side },
      resample: 3,
      do_normalize: false,
      ...(cutsTiles(config) && {
        image_processor_type: "NanoVLMImageProcessor",
        max_img_size: config.size("max_img_size", side),
        resize_to_max_side_len: config.flag("resize_to_max_side_len", false),
      }),
    },
  };
}
