/**
 * SmolVLM and Idefics3: a SigLIP tower, pixel shuffle, one linear connector and
 * a Llama decoder (transformers: `smolvlm`, `idefics3`). One image tile.
 * @module
 */
import type { Model, ModelInfo } from "../graph/node.ts";
import {
  activation,
  type Block,
  block,
  decoder,
  decoderBlock,
  stopIds,
} from "./block.ts";
import { Builder } from "./builder.ts";
import { bind, type Checkpoint, decoderNames, naming } from "./checkpoint.ts";
import { Config } from "./config.ts";
import { placeholders } from "./placeholders.ts";

/** Our parameter names → the checkpoint's, longest stems first. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^vision\.patch\./, "model.vision_model.embeddings.patch_embedding."],
  [/^vision\.position\./, "model.vision_model.embeddings.position_embedding."],
  [
    /^vision\.(\d+)\.norm([12])\./,
    "model.vision_model.encoder.layers.$1.layer_norm$2.",
  ],
  [
    /^vision\.(\d+)\.([qkv])\./,
    "model.vision_model.encoder.layers.$1.self_attn.$2_proj.",
  ],
  [
    /^vision\.(\d+)\.o\./,
    "model.vision_model.encoder.layers.$1.self_attn.out_proj.",
  ],
  [/^vision\.(\d+)\.up\./, "model.vision_model.encoder.layers.$1.mlp.fc1."],
  [/^vision\.(\d+)\.down\./, "model.vision_model.encoder.layers.$1.mlp.fc2."],
  [/^vision\.norm\./, "model.vision_model.post_layernorm."],
  [/^connector\./, "model.connector.modality_projection.proj."],
  ...decoderNames("model.text_model.", "lm_head."),
];

/** Builds the model that a SmolVLM or Idefics3 checkpoint holds. */
export function smolvlm(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["smolvlm", "idefics3"]);
  const v = config.object("vision_config"), t = config.object("text_config");
  const factor = config.size("scale_factor", 2);
  const patch = v.side("patch_size", 32), size = v.side("image_size", 224);
  const channels = v.size("num_channels", 3);
  const side = Math.floor(size / patch), vocabulary = t.size("vocab_size");
  if (channels !== 3 || !Number.isInteger(side / factor)) {
    throw new RangeError(
      `Cannot build ${architecture}: images must have 3 channels and a side of patch_size times a multiple of scale_factor: they have ${channels} channels, side ${size}, patch_size ${patch}, scale_factor ${factor}`,
    );
  }
  const heads = v.size("num_attention_heads", 16),
    dim = v.size("hidden_size", 1152);
  const vision: Block = {
    stream: "vision",
    dim,
    ffn: v.size("intermediate_size", 3072),
    heads,
    kvHeads: heads,
    headDim: dim / heads,
    norm: "layer",
    eps: v.number("layer_norm_eps", 1e-6),
    bias: { qkv: true, o: true, mlp: true },
    act: activation(v, "hidden_act", "gelu_pytorch_tanh"),
    gated: false,
    attend: { mask: "full" },
  };
  const text = decoderBlock(t);
  const tied = config.flag(
    "tie_word_embeddings",
    t.flag("tie_word_embeddings", false),
  );

  const g = new Builder();
  g.write("vision", g.table("vision.position", vision.dim));
  const patches = g.patches("vision.pixels", channels * patch * patch);
  g.write(
    "vision",
    g.linear("vision.patch", patches, channels * patch * patch, vision.dim, {
      bias: true,
    }),
  );
  for (let i = 0; i < v.layers("num_hidden_layers", 12); i++) {
    block(g, `vision.${i}`, vision);
  }
  const seen = g.read("vision.norm", "vision", vision.dim, "layer", vision.eps);
  const merged = g.shuffle("vision.shuffle", seen, vision.dim, factor);
  const image = g.linear(
    "connector",
    merged,
    vision.dim * factor ** 2,
    text.dim,
  );

  const layers = t.layers("num_hidden_layers");
  decoder(g, image, text, { layers, vocabulary, tied });

  const tokens = (side / factor) ** 2;
  const fake = "<fake_token_around_image>";
  const rows = placeholders("<image>", tokens);
  const whole = `${fake}<global-img>${rows}${fake}`;
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: t.size("max_position_embeddings"),
    stopIds: stopIds(config, t),
    image: {
      height: side * patch,
      width: side * patch,
      patch,
      tokens,
      tokenId: config.size("image_token_id"),
      text: whole,
      tiles: {
        begin: "",
        tile: `${fake}<row_{row}_col_{col}>${rows}`,
        rowEnd: "\n",
        end: `\n${whole}`,
      },
    },
  };
  return {
    info,
    nodes: g.nodes,
    params: bind(checkpoint, g.nodes, vocabulary, side * side, naming(NAMES)),
  };
}
