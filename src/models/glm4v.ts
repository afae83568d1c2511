/**
 * GLM-4V-9B: an EVA2-CLIP tower with its norms behind the sub-layers, a
 * convolution over 2 × 2 patches, a gated connector, and the GLM-4 decoder
 * (modeling_chatglm.py and visual.py of the published checkpoint: `chatglm` with
 * a `vision_config`).
 *
 * The rows that the original puts in front of an image and behind it (boi, eoi)
 * stand where its tokens `<|begin_of_image|>` and `<|end_of_image|>` stood: here
 * they are those tokens' embeddings, text rows. Only the first half of a head's
 * channels turns, in neighbouring pairs: queries and keys are put in the order
 * of half-split pairs at import, alike, which no product of the two can tell.
 * @module
 */
import type { Model, ModelInfo } from "../graph/node.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { activation, type Block, block, decoder, stopIds } from "./block.ts";
import { Builder } from "./builder.ts";
import {
  bind,
  type Checkpoint,
  naming,
  rowsOf,
  type Source,
} from "./checkpoint.ts";
import { Config } from "./config.ts";
import { classTokenLast, convolutionRows } from "./patch.ts";
import { pairsApart, scaled, withRows } from "./rows.ts";
import { clipPixels, type Supplement } from "./supplement.ts";

const VISION = "transformer.vision.", TEXT = "transformer.encoder.";
const TOWER = `${VISION}transformer.layers.$1.`, LAYER = `${TEXT}layers.$1.`;
const PATCHES = `${VISION}patch_embedding.`;

/** Our parameter names → the checkpoint's. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^vision\.patch\./, `${PATCHES}proj.`],
  [/^vision\.(\d+)\.norm1\./, `${TOWER}input_layernorm.`],
  [/^vision\.(\d+)\.norm2\./, `${TOWER}post_attention_layernorm.`],
  [/^vision\.(\d+)\.[qkv]\./, `${TOWER}attention.query_key_value.`],
  [/^vision\.(\d+)\.o\./, `${TOWER}attention.dense.`],
  [/^vision\.(\d+)\.up\./, `${TOWER}mlp.fc1.`],
  [/^vision\.(\d+)\.down\./, `${TOWER}mlp.fc2.`],
  [/^connector\.conv\./, `${VISION}conv.`],
  [/^connector\.in\./, `${VISION}linear_proj.linear_proj.`],
  [/^connector\.norm\./, `${VISION}linear_proj.norm1.`],
  [/^connector\.gate\./, `${VISION}linear_proj.gate_proj.`],
  [/^connector\.up\./, `${VISION}linear_proj.dense_h_to_4h.`],
  [/^connector\.down\./, `${VISION}linear_proj.dense_4h_to_h.`],
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

/** Special tokens in order of their ids, where tokenizer_config.json does not list them. */
const SPECIAL = [
  ...["<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>"],
  ...["<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"],
  ...["<|begin_of_image|>", "<|end_of_image|>"],
  ...["<|begin_of_video|>", "<|end_of_video|>"],
];

/** Stands for an image row: a special token that no prompt of the original holds. */
const ROW = "[MASK]";

/** Builds the model that a GLM-4V checkpoint holds. */
export function glm4v(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["chatglm"]);
  const v = config.object("vision_config"), dim = v.size("hidden_size");
  const heads = v.size("num_heads"), eps = v.number("layer_norm_eps", 1e-6);
  const patch = v.size("patch_size"), size = v.size("image_size");
  const side = size / patch, text = decoderOf(config);
  if (!Number.isInteger(side / 2)) {
    throw new RangeError(
      `Cannot build ${architecture}: image_size must be an even number of patches: it is ${size}, with patch_size ${patch}`,
    );
  }
  const vision: Block = {
    stream: "vision",
    dim,
    ffn: v.size("intermediate_size"),
    heads,
    kvHeads: heads,
    headDim: dim / heads,
    norm: "layer",
    eps,
    postNorm: true,
    bias: { qkv: true, o: true, mlp: true },
    act: activation(v, "hidden_act", "gelu"),
    gated: false,
    attend: { mask: "full" },
  };

  const g = new Builder(), wide = 3 * patch * patch, patches = side * side;
  g.write("vision", g.table("vision.position", dim));
  const pixels = g.patches("vision.pixels", wide, 1);
  g.write(
    "vision",
    g.linear("vision.patch", pixels, wide, dim, { bias: true }),
  );
  for (let i = 0; i < v.size("num_hidden_layers"); i++) {
    block(g, `vision.${i}`, vision);
  }
  const seen = g.peek("vision.peek", "vision", dim);
  const kept = g.take("vision.take", seen, patches);
  const image = connector(g, g.shuffle("vision.shuffle", kept, dim, 2), {
    vision: 4 * dim,
    text: text.dim,
    ffn: config.size("ffn_hidden_size"),
  });
  const vocabulary = config.size("padded_vocab_size");
  const layers = config.size("num_layers");
  decoder(g, image, text, { layers, vocabulary, tied: false });

  const tokens = patches / 4;
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: config.size("seq_length"),
    stopIds: stopIds(config),
    image: {
      height: size,
      width: size,
      patch,
      tokens,
      tokenId: checkpoint.idOf?.(ROW) ?? config.size("image_token_id"),
      text: `<|begin_of_image|>${ROW.repeat(tokens)}<|end_of_image|>`,
      atOnePlace: true,
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
      sources(config, dim, text),
    ),
  };
}

/** conv 2 × 2, then a linear, its norm, GELU, and a gated pair (visual.py, GLU). */
function connector(
  g: Builder,
  x: string,
  { vision, text, ffn }: { vision: number; text: number; ffn: number },
): string {
  const conv = g.linear("connector.conv", x, vision, text, { bias: true });
  g.write("connector", g.linear("connector.in", conv, text, text));
  const seen = g.read("connector.norm", "connector", text, "layer", 1e-5);
  const h = g.act("connector.act1", "gelu", text, seen);
  const gate = g.linear("connector.gate", h, text, ffn);
  const up = g.linear("connector.up", h, text, ffn);
  const both = g.act("connector.act2", "silu", ffn, up, gate);
  return g.linear("connector.down", both, ffn, text);
}

/** Where the parameters come from. */
function sources(
  config: Config,
  dim: number,
  text: Block,
): (param: string) => Source {
  const nameOf = naming(NAMES), { headDim: d, heads, kvHeads, ffn } = text;
  const scale = config.object("vision_config").number("scaling_factor", 1);
  const ends = ["boi", "eoi"].map((n) => config.size(`${n}_token_id`));
  const rows = { q: heads * d, k: kvHeads * d, v: kvHeads * d };
  const first = { q: 0, k: rows.q, v: rows.q + rows.k };
  return (param) => {
    if (param === "vision.position.weight") {
      const at = ["position_embedding.weight", "cls_embedding"];
      return { from: at.map((n) => `${PATCHES}${n}`), make: classTokenLast };
    }
    const from = [nameOf(param)];
    if (param === "text.embed.weight") {
      return {
        from: [...from, `${VISION}boi`, `${VISION}eoi`],
        make: (t, ...rows) =>
          withRows(t, ends, rows.map((r) => scaled(r, 1 / scale))),
      };
    }
    if (param === "connector.conv.weight") {
      return { from, make: convolutionRows };
    }
    if (param === "connector.down.weight") {
      return { from, make: (t) => scaled(t, 1 / scale) };
    }
    const [, phase, part] = /^(\w+)\.\d+\.(q|k|v|gate|up)\./.exec(param) ?? [];
    if (phase === undefined || (phase === "vision" && part === "up")) {
      return from[0];
    }
    const make = (t: Tensor) => {
      if (part === "gate") return rowsOf(t, 0, ffn);
      if (part === "up") return rowsOf(t, ffn, 2 * ffn);
      const p = part as "q" | "k" | "v";
      if (phase === "vision") {
        const i = "qkv".indexOf(p);
        return rowsOf(t, i * dim, (i + 1) * dim);
      }
      const own = rowsOf(t, first[p], first[p] + rows[p]);
      return p === "v" ? own : pairsApart(own, d, d / 2);
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
    act: "silu",
    gated: true,
    attend: {
      mask: "causal",
      theta: 10000 * config.number("rope_ratio", 1),
      rotary: headDim / 2,
      sections: [headDim / 2],
    },
  };
}

/** What GLM-4V's repository keeps in code (tokenization_chatglm.py). */
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
