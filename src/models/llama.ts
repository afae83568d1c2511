/**
 * Text-only decoders: Llama (including SmolLM2), Qwen2 and Qwen3 (transformers:
 * `llama`, `qwen2`, `qwen3`). `decoderBlock` covers their differences.
 * @module
 */
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import { decoder, decoderBlock, stopIds } from "./block.ts";
import { Builder } from "./builder.ts";
import { bind, type Checkpoint, decoderNames, naming } from "./checkpoint.ts";
import { Config } from "./config.ts";
import { maxPositions } from "./rope.ts";

/** Builds the model that a Llama, Qwen2 or Qwen3 checkpoint holds. */
export function llama(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["llama", "qwen2", "qwen3"]);
  const vocabulary = config.size("vocab_size"), g = new Builder();
  decoder(g, undefined, decoderBlock(config), {
    layers: config.layers("num_hidden_layers"),
    vocabulary,
    tied: config.flag("tie_word_embeddings", false),
  });
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: maxPositions(config),
    stopIds: stopIds(config),
  };
  const nameOf = naming(decoderNames("model.", "lm_head."));
  return {
    info,
    nodes: g.nodes,
    params: bind(checkpoint, g.nodes, vocabulary, 0, nameOf),
  };
}
