/**
 * Qwen-VL-Chat: an OpenCLIP tower with a norm before its blocks, a resampler of
 * 256 queries, and the first Qwen decoder (modeling_qwen.py and visual.py of
 * the published checkpoint: `qwen` with a `visual` part). Beyond `seq_length`
 * tokens the original scales its rotary embedding and queries (dynamic NTK,
 * log-n attention); here a conversation ends there, and below it neither has an
 * effect.
 * @module
 */
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Block, block, decoder, towerBlock } from "./block.ts";
import { Builder } from "./builder.ts";
import {
  bind,
  type Checkpoint,
  naming,
  rowsOf,
  type Source,
} from "./checkpoint.ts";
import { Config } from "./config.ts";
import { resizeTableCubic } from "./patch.ts";
import { placeholders } from "./placeholders.ts";
import {
  type Resampler,
  resampler,
  resamplerNames,
  resamplerSource,
} from "./resampler.ts";
import { headRowsOf, transposed } from "./rows.ts";
import { chatml, clipPixels, type Supplement } from "./supplement.ts";
import { QWEN_WORDS } from "../tokenizer/side_files.ts";

const VISUAL = "transformer.visual.", POOL = `${VISUAL}attn_pool.`;
const TOWER = `${VISUAL}transformer.resblocks.$1.`;

/** Parameter names → the checkpoint's names. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^vision\.patch\./, `${VISUAL}conv1.`],
  [/^vision\.position\.weight/, `${VISUAL}positional_embedding`],
  [/^vision\.pre\./, `${VISUAL}ln_pre.`],
  [/^vision\.(\d+)\.norm([12])\./, `${TOWER}ln_$2.`],
  [/^vision\.(\d+)\.[qkv]\./, `${TOWER}attn.in_proj.`],
  [/^vision\.(\d+)\.o\./, `${TOWER}attn.out_proj.`],
  [/^vision\.(\d+)\.up\./, `${TOWER}mlp.c_fc.`],
  [/^vision\.(\d+)\.down\./, `${TOWER}mlp.c_proj.`],
  ...resamplerNames(POOL),
  [/^connector\.post\./, `${VISUAL}ln_post.`],
  [/^connector\.proj\.weight/, `${VISUAL}proj`],
  [/^text\.embed\./, "transformer.wte."],
  [/^text\.(\d+)\.norm([12])\./, "transformer.h.$1.ln_$2."],
  [/^text\.(\d+)\.[qkv]\./, "transformer.h.$1.attn.c_attn."],
  [/^text\.(\d+)\.o\./, "transformer.h.$1.attn.c_proj."],
  [/^text\.(\d+)\.up\./, "transformer.h.$1.mlp.w1."],
  [/^text\.(\d+)\.gate\./, "transformer.h.$1.mlp.w2."],
  [/^text\.(\d+)\.down\./, "transformer.h.$1.mlp.c_proj."],
  [/^text\.norm\./, "transformer.ln_f."],
  [/^text\.head\./, "lm_head."],
];

/**
 * Special tokens in order of their ids, after those of the vocabulary file
 * (tokenization_qwen.py).
 */
const SPECIAL = [
  ...["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
  ...Array.from({ length: 205 }, (_, i) => `<|extra_${i}|>`),
  ...["<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>"],
  ...["<img>", "</img>", "<imgpad>"],
];

// long because a model is described once, from its first layer to its last
/** Builds the model that a Qwen-VL-Chat checkpoint holds. */
export function qwenvl(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["qwen"]);
  const v = config.object("visual"), dim = v.size("width");
  const patch = v.size("patch_size"), size = v.size("image_size");
  const side = size / patch, heads = v.size("heads");
  const queries = v.size("n_queries", 256), text = decoderOf(config);
  if (
    !Number.isInteger(side) || v.size("output_dim") !== text.dim ||
    text.dim % 128 !== 0
  ) {
    throw new RangeError(
      `Cannot build ${architecture}: image_size must be a multiple of patch_size, and output_dim the hidden_size of ${text.dim}, a multiple of 128`,
    );
  }
  const ffn = Math.trunc(dim * v.number("mlp_ratio"));
  const vision = towerBlock({ dim, ffn, heads, activation: "gelu" });
  const pool: Resampler = {
    kv: dim,
    dim: text.dim,
    queries,
    heads: text.dim / 128,
    eps: 1e-6,
  };

  const g = new Builder(), wide = 3 * patch * patch;
  g.residualAdd("pixels", g.learnedEmbedding("vision.position", dim));
  const pixels = g.patchInput("vision.pixels", wide);
  g.residualAdd("pixels", g.linear("vision.patch", pixels, wide, dim));
  g.residualAdd("vision", g.norm("vision.pre", "pixels", dim, "layer", 1e-6));
  for (let i = 0; i < v.layers("layers"); i++) block(g, `vision.${i}`, vision);
  const image = resampler(
    g,
    g.residualRead("vision.read", "vision", dim),
    pool,
  );
  const vocabulary = config.size("vocab_size");
  const layers = config.layers("num_hidden_layers");
  decoder(g, image, text, { layers, vocabulary, tied: false });

  const begin = v.size("image_start_id");
  const first = begin - SPECIAL.indexOf("<img>");
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: config.size("seq_length", 2048),
    stopIds: [first, first + 1, first + 2],
    image: {
      height: size,
      width: size,
      patchSize: patch,
      tokens: queries,
      tokenId: begin + 2,
      text: `Picture {picture}: <img>${
        placeholders("<imgpad>", queries)
      }</img>\n`,
    },
  };
  const nameOf = naming(NAMES);
  const sourceOf = (param: string): Source => {
    const places = {
      stored: `${POOL}pos_embed`,
      keys: (t: Tensor | undefined) => resizeTableCubic(t!, side),
    };
    const pooled = resamplerSource(param, POOL, pool, places);
    if (pooled) return pooled;
    const name = nameOf(param);
    if (param === "connector.proj.weight") {
      return { from: [name], make: transposed };
    }
    if (param === "vision.position.weight") {
      return { from: [name], make: (t) => resizeTableCubic(t, side) };
    }
    const [, phase, part] = /^(\w+)\.\d+\.([qkv])\./.exec(param) ?? [];
    if (part === undefined) return name;
    const i = "qkv".indexOf(part);
    const make = phase === "vision"
      ? (t: Tensor) => headRowsOf(t, i, 3, dim / heads)
      : (t: Tensor) => rowsOf(t, i * text.dim, (i + 1) * text.dim);
    return { from: [name], make };
  };
  return {
    info,
    nodes: g.nodes,
    params: bind(checkpoint, g.nodes, vocabulary, side * side, sourceOf),
  };
}

function decoderOf(config: Config): Block {
  const dim = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  const headDim = config.size("kv_channels", 128);
  if (
    heads * headDim !== dim || config.number("rotary_pct", 1) !== 1 ||
    !config.flag("no_bias", true) || config.flag("tie_word_embeddings", false)
  ) {
    throw new RangeError(
      "Cannot build qwen: kv_channels must be hidden_size / num_attention_heads, rotary_pct 1, no_bias true and tie_word_embeddings false",
    );
  }
  return {
    stream: "text",
    dim,
    ffn: config.size("intermediate_size") / 2, // the config counts both halves
    heads,
    kvHeads: heads,
    headDim,
    norm: "rms",
    eps: config.number("layer_norm_epsilon", 1e-6),
    bias: { qkv: true, o: false, mlp: false },
    activation: "silu",
    gated: true,
    attention: {
      mask: "causal",
      ropeTheta: config.number("rotary_emb_base", 10000),
    },
  };
}

/**
 * Prompts, tokens and image settings that Qwen-VL-Chat's repository defines in
 * code.
 */
export function qwenvlSupplement(config: Config): Supplement {
  return {
    template: chatml("<imgpad>", "You are a helpful assistant."),
    processor: clipPixels(config.object("visual").size("image_size")),
    ranks: {
      file: "qwen.tiktoken",
      words: (count) => ({
        pattern: QWEN_WORDS,
        special: new Map(SPECIAL.map((t, i) => [count + i, t])),
        compose: true,
      }),
    },
  };
}
