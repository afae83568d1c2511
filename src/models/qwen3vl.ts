/**
 * Qwen3-VL: a tower with learned positions and 2-D rotary embedding; outputs of
 * several of its layers are merged like its final output and added to the image
 * rows after the first layers of a Qwen3 decoder with interleaved M-RoPE
 * (DeepStack; transformers: `qwen3_vl`). As in Qwen2-VL, patches are in row
 * order, the two frames of the patch weights are added, and pictures keep their
 * aspect ratio.
 * @module
 */
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import { pixelBounds, squareSide } from "../image/smart_resize.ts";
import type { Tensor } from "../tensor/tensor.ts";
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
import { sumFrames } from "./patch.ts";
import { maxPositions } from "./rope.ts";

/** Parameter names → the checkpoint's names. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^vision\.patch\./, "model.visual.patch_embed.proj."],
  [/^vision\.position\./, "model.visual.pos_embed."],
  [/^vision\.(\d+)\.norm([12])\./, "model.visual.blocks.$1.norm$2."],
  [/^vision\.(\d+)\.[qkv]\./, "model.visual.blocks.$1.attn.qkv."],
  [/^vision\.(\d+)\.o\./, "model.visual.blocks.$1.attn.proj."],
  [/^vision\.(\d+)\.up\./, "model.visual.blocks.$1.mlp.linear_fc1."],
  [/^vision\.(\d+)\.down\./, "model.visual.blocks.$1.mlp.linear_fc2."],
  [/^vision\.norm\./, "model.visual.merger.norm."],
  [/^connector\.up\./, "model.visual.merger.linear_fc1."],
  [/^connector\.down\./, "model.visual.merger.linear_fc2."],
  [/^deep\.(\d+)\.norm\./, "model.visual.deepstack_merger_list.$1.norm."],
  [/^deep\.(\d+)\.up\./, "model.visual.deepstack_merger_list.$1.linear_fc1."],
  [/^deep\.(\d+)\.down\./, "model.visual.deepstack_merger_list.$1.linear_fc2."],
  ...decoderNames("model.language_model.", "lm_head."),
];

// long because a model is described once, from its first layer to its last
/** Builds the model that a Qwen3-VL checkpoint holds. */
export function qwen3vl(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["qwen3_vl"]);
  const v = config.object("vision_config"), t = config.object("text_config");
  const dim = v.size("hidden_size"), heads = v.size("num_heads", 16);
  const patch = v.size("patch_size", 16);
  const frames = v.size("temporal_patch_size", 2);
  const factor = v.size("spatial_merge_size", 2);
  const levels = v.ids("deepstack_visual_indexes");
  const size = squareSide(pixelBounds({
    patch_size: patch,
    merge_size: factor,
    ...checkpoint.processor,
  }));
  const side = size / patch, vocabulary = t.size("vocab_size");
  const positions = v.size("num_position_embeddings", 2304);
  const text = decoderBlock(t), wide = dim * factor ** 2;
  if (
    text.attention.mropeSection?.length !== 3 ||
    !Number.isInteger(positions ** 0.5)
  ) {
    throw new RangeError(
      `Cannot build ${architecture}: mrope_section must be three numbers and num_position_embeddings a square`,
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
    eps: 1e-6,
    bias: { qkv: true, o: true, mlp: true },
    activation: activation(v, "hidden_act", "gelu_pytorch_tanh"),
    gated: false,
    attention: {
      mask: "full",
      ropeTheta: v.object("rope_parameters").number("rope_theta", 10000),
      rope2d: true,
    },
  };

  const g = new Builder(), bias = { bias: true };
  const merge = (id: string, x: string) => {
    const up = g.linear(`${id}.up`, x, wide, wide, bias);
    const h = g.activation(`${id}.act`, "gelu", wide, up);
    return g.linear(`${id}.down`, h, wide, text.dim, bias);
  };
  g.residualAdd(
    "vision",
    g.learnedEmbedding("vision.position", dim, { gridSize: positions ** 0.5 }),
  );
  const pixels = g.patchInput("vision.pixels", 3 * patch * patch);
  g.residualAdd(
    "vision",
    g.linear("vision.patch", pixels, 3 * patch * patch, dim, bias),
  );
  const deep: string[] = [];
  for (let i = 0; i < v.layers("depth"); i++) {
    block(g, `vision.${i}`, vision);
    const level = levels.indexOf(i);
    if (level < 0) continue;
    if (level !== deep.length) {
      throw new RangeError(
        `Cannot build ${architecture}: deepstack_visual_indexes must ascend: they are ${levels}`,
      );
    }
    const id = `deep.${level}`; // its norm follows the shuffle
    const seen = g.residualRead(`${id}.read`, "vision", dim);
    g.residualAdd(id, g.pixelShuffle(`${id}.shuffle`, seen, dim, factor));
    deep.push(merge(id, g.norm(`${id}.norm`, id, wide, "layer", 1e-6)));
  }
  const seen = g.norm("vision.norm", "vision", dim, "layer", 1e-6);
  const last = merge(
    "connector",
    g.pixelShuffle("vision.shuffle", seen, dim, factor),
  );
  decoder(
    g,
    deep.length > 0 ? g.concatFeatures("image", [last, ...deep]) : last,
    text,
    {
      layers: t.layers("num_hidden_layers"),
      vocabulary,
      tied: config.flag(
        "tie_word_embeddings",
        t.flag("tie_word_embeddings", false),
      ),
      deep: deep.length,
    },
  );

  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: maxPositions(t),
    stopIds: stopIds(config, t),
    image: {
      height: size,
      width: size,
      patchSize: patch,
      nativeResolution: true,
      tokens: (side / factor) ** 2,
      tokenId: config.id("image_token_id"),
      text: "<|image_pad|>",
    },
  };
  const nameOf = naming(NAMES);
  const sourceOf = (param: string): Source => {
    const name = nameOf(param);
    if (param === "vision.patch.weight") {
      const make = (w: Tensor) => sumFrames(w, frames, patch * patch);
      return { from: [name], make };
    }
    const part = /^vision\.\d+\.([qkv])\./.exec(param)?.[1];
    if (part === undefined) return name;
    const at = "qkv".indexOf(part) * dim; // [3·width, …]: q, then k, then v
    return { from: [name], make: (w) => rowsOf(w, at, at + dim) };
  };
  return {
    info,
    nodes: g.nodes,
    params: bind(checkpoint, g.nodes, vocabulary, side * side, sourceOf),
  };
}
