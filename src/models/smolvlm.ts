/**
 * SmolVLM and Idefics3: a SigLIP tower, pixel shuffle, one linear connector and
 * a Llama decoder (transformers: `smolvlm`, `idefics3`). One image tile.
 * @module
 */
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import { decoder, decoderBlock, stopIds } from "./block.ts";
import { Builder } from "./builder.ts";
import { bind, type Checkpoint, decoderNames, naming } from "./checkpoint.ts";
import { Config } from "./config.ts";
import { placeholders } from "./placeholders.ts";
import { maxPositions } from "./rope.ts";

import { siglip, siglipNames, siglipOf } from "./siglip.ts";

/** Parameter names → the checkpoint's names. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  ...siglipNames("model.vision_model."),
  [/^connector\./, "model.connector.modality_projection.proj."],
  ...decoderNames("model.text_model.", "lm_head."),
];

/** Builds the model that a SmolVLM or Idefics3 checkpoint holds. */
export function smolvlm(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["smolvlm", "idefics3"]);
  const v = config.object("vision_config"), t = config.object("text_config");
  const factor = config.size("scale_factor", 2),
    size = v.side("image_size", 224);
  const tower = siglipOf(v, { dim: 1152, heads: 16, patch: 32 });
  const { patch, block: { dim } } = tower, channels = v.size("num_channels", 3);
  const side = Math.floor(size / patch), vocabulary = t.size("vocab_size");
  if (channels !== 3 || !Number.isInteger(side / factor)) {
    throw new RangeError(
      `Cannot build ${architecture}: images must have 3 channels and a side of patch_size times a multiple of scale_factor: they have ${channels} channels, side ${size}, patch_size ${patch}, scale_factor ${factor}`,
    );
  }
  const text = decoderBlock(t);
  const tied = config.flag(
    "tie_word_embeddings",
    t.flag("tie_word_embeddings", false),
  );

  const g = new Builder();
  const merged = g.pixelShuffle(
    "vision.shuffle",
    siglip(g, tower),
    dim,
    factor,
  );
  const image = g.linear("connector", merged, dim * factor ** 2, text.dim);

  const layers = t.layers("num_hidden_layers");
  decoder(g, image, text, { layers, vocabulary, tied });

  const tokens = (side / factor) ** 2;
  const fake = "<fake_token_around_image>";
  const rows = placeholders("<image>", tokens);
  const whole = `${fake}<global-img>${rows}${fake}`;
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
      tokenId: config.id("image_token_id"),
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
