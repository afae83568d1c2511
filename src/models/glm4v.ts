/**
 * GLM-4V-9B: EVA2-CLIP (eva.ts) and the GLM-4 decoder (modeling_chatglm.py of
 * the published checkpoint: `chatglm` with a `vision_config`). The original
 * replaces the tokens `<|begin_of_image|>` and `<|end_of_image|>` by learned
 * rows (boi, eoi); here these rows are the embeddings of the tokens. Rotary
 * embedding covers the first half of a head's channels, in neighbouring pairs;
 * queries and keys are reordered to half-split pairs at import, which does not
 * change their dot products.
 * @module
 */
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Block, decoder, stopIds } from "./block.ts";
import { Builder } from "./builder.ts";
import {
  bind,
  type Checkpoint,
  naming,
  rowsOf,
  type Source,
} from "./checkpoint.ts";
import { Config } from "./config.ts";
import { type Eva, eva, evaNames, evaOf, evaSource, patchesOf } from "./eva.ts";
import { placeholders } from "./placeholders.ts";
import { halfSplitPairs, scaled, withRows } from "./rows.ts";
import { clipPixels, type Supplement } from "./supplement.ts";

const VISION = "transformer.vision.", TEXT = "transformer.encoder.";
const LAYER = `${TEXT}layers.$1.`;

/** Parameter names → the checkpoint's names. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  ...evaNames(VISION),
  [/^text\.embed\./, "transformer.embedding.word_embeddings."],
  [/^text\.(\d+)\.norm1\./, `${LAYER}input_layernorm.`],
  [/^text\.(\d+)\.norm2\./, `${LAYER}post_attention_layernorm.`],
  [/^text\.(\d+)\.[qkv]\./, `${LAYER}self_attention.query_key_value.`],
  [/^text\.(\d+)\.o\./, `${LAYER}self_attention.dense.`],
  [/^text\.(\d+)\.(gate|up)\./, `${LAYER}mlp.dense_h_to_4h.`],
  [/^text\.(\d+)\.down\./, `${LAYER}mlp.dense_4h_to_h.`],
  [/^text\.norm\./, `${TEXT}final_layernorm.`],
  [/^text\.head\./, "transformer.output_layer."],
];

/**
 * Special tokens in order of their ids, if tokenizer_config.json does not list
 * them.
 */
const SPECIAL = [
  ...["<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>"],
  ...["<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"],
  ...["<|begin_of_image|>", "<|end_of_image|>"],
  ...["<|begin_of_video|>", "<|end_of_video|>"],
];

/**
 * Placeholder of an image row: a special token that the original's prompts
 * never contain.
 */
const ROW = "[MASK]";

/** Builds the model that a GLM-4V checkpoint holds. */
export function glm4v(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["chatglm"]);
  const text = decoderOf(config),
    tower = evaOf(config.object("vision_config"), {
      merged: text.dim,
      text: text.dim,
      ffn: config.size("ffn_hidden_size"),
    });
  const g = new Builder(), patches = patchesOf(tower);
  const image = eva(g, tower);
  const vocabulary = config.size("padded_vocab_size");
  const layers = config.layers("num_layers");
  decoder(g, image, text, { layers, vocabulary, tied: false });

  const tokens = patches / 4;
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: config.size("seq_length"),
    stopIds: stopIds(config),
    image: {
      height: tower.size,
      width: tower.size,
      patchSize: tower.patch,
      tokens,
      tokenId: checkpoint.idOf?.(ROW) ?? config.id("image_token_id"),
      text: `<|begin_of_image|>${placeholders(ROW, tokens)}<|end_of_image|>`,
      sharedPosition: true,
    },
  };
  return {
    info,
    nodes: g.nodes,
    params: bind(
      checkpoint,
      g.nodes,
      vocabulary,
      patches + 1,
      sources(config, tower, text),
    ),
  };
}

/** Sources of the parameters. */
function sources(
  config: Config,
  tower: Eva,
  text: Block,
): (param: string) => Source {
  const nameOf = naming(NAMES), { headDim: d, heads, kvHeads, ffn } = text;
  const scale = config.object("vision_config").number("scaling_factor", 1);
  const ends = ["boi", "eoi"].map((n) => config.size(`${n}_token_id`));
  const rows = { q: heads * d, k: kvHeads * d, v: kvHeads * d };
  const first = { q: 0, k: rows.q, v: rows.q + rows.k };
  return (param) => {
    const seen = param === "connector.down.weight"
      ? undefined
      : evaSource(param, VISION, tower, nameOf);
    if (seen) return seen;
    const from = [nameOf(param)];
    if (param === "text.embed.weight") {
      return {
        from: [...from, `${VISION}boi`, `${VISION}eoi`],
        make: (t, ...rows) =>
          withRows(t, ends, rows.map((r) => scaled(r, 1 / scale))),
      };
    }
    if (param === "connector.down.weight") {
      return { from, make: (t) => scaled(t, 1 / scale) };
    }
    const part = /^text\.\d+\.(q|k|v|gate|up)\./.exec(param)?.[1];
    if (part === undefined) return from[0];
    const make = (t: Tensor) => {
      if (part === "gate") return rowsOf(t, 0, ffn);
      if (part === "up") return rowsOf(t, ffn, 2 * ffn);
      const p = part as "q" | "k" | "v";
      const own = rowsOf(t, first[p], first[p] + rows[p]);
      return p === "v" ? own : halfSplitPairs(own, d, d / 2);
    };
    return { from, make };
  };
}

function decoderOf(config: Config): Block {
  const heads = config.size("num_attention_heads");
  const headDim = config.size("kv_channels");
  for (
    const [field, built] of [
      ["rmsnorm", true],
      ["original_rope", true],
      ["multi_query_attention", true],
      ["post_layer_norm", true],
      ["add_bias_linear", false],
      ["apply_residual_connection_post_layernorm", false],
    ] as const
  ) {
    if (config.flag(field, built) !== built) {
      throw new RangeError(`Cannot build chatglm: ${field} must be ${built}`);
    }
  }
  return {
    stream: "text",
    dim: config.size("hidden_size"),
    ffn: config.size("ffn_hidden_size"),
    heads,
    kvHeads: config.size("multi_query_group_num"),
    headDim,
    norm: "rms",
    eps: config.number("layernorm_epsilon"),
    bias: { qkv: config.flag("add_qkv_bias", false), o: false, mlp: false },
    activation: "silu",
    gated: true,
    attention: {
      mask: "causal",
      ropeTheta: 10000 * config.number("rope_ratio", 1),
      rotaryDim: headDim / 2,
      mropeSection: [headDim / 2],
    },
  };
}

/**
 * Prompts and tokens that GLM-4V's repository defines in code
 * (tokenization_chatglm.py).
 */
export function glm4vSupplement(config: Config): Supplement {
  return {
    template: "[gMASK]<sop>{% for message in messages %}" +
      "{{ '<|' + message['role'] + '|>\\n' }}" +
      `{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '${ROW}' }}` +
      "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
    processor: clipPixels(config.object("vision_config").size("image_size")),
    ranks: {
      file: "tokenizer.model",
      words: (count, { added_tokens_decoder: listed }) => ({
        pattern: String
          .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
        special: listed && typeof listed === "object"
          ? new Map(
            Object.entries(listed as Record<string, { content: string }>)
              .map(([id, { content }]) => [Number(id), content]),
          )
          : new Map(SPECIAL.map((t, i) => [count + i, t])),
        compose: false,
      }),
    },
  };
}
