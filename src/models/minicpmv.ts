/**
 * MiniCPM-V 2.6: a SigLIP tower with positions by relative location, a
 * resampler of 64 queries with positions for keys only, and a Qwen2 decoder
 * (modeling_minicpmv.py, modeling_navit_siglip.py and resampler.py of the
 * published checkpoint: `minicpmv`). Pictures and slices keep their aspect
 * ratio: each has the area of a square of `scale_resolution` pixels and becomes
 * equally many rows. Patch positions are looked up; key positions are sums,
 * W·(x, y) = W·(x, 0) + W·(0, y). Both tables hold for all shapes.
 * @module
 */
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import { decoder, decoderBlock, stopIds } from "./block.ts";
import { Builder } from "./builder.ts";
import {
  bind,
  type Checkpoint,
  decoderNames,
  naming,
  type Source,
} from "./checkpoint.ts";
import { Config } from "./config.ts";
import { placeholders } from "./placeholders.ts";
import {
  axisPositions,
  type Resampler,
  resampler,
  resamplerNames,
  resamplerSource,
} from "./resampler.ts";
import { transposed } from "./rows.ts";
import { siglip, siglipNames, siglipOf } from "./siglip.ts";
import { chatml, type Supplement } from "./supplement.ts";
import { maxPositions } from "./rope.ts";

/**
 * Maximum elongation of a picture's sides relative to a square: aspect ratio 64
 * : 1.
 */
const LONGEST = 8;

/** Parameter names → the checkpoint's names. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  ...siglipNames("vpm."),
  ...resamplerNames("resampler."),
  [/^connector\.post\./, "resampler.ln_post."],
  [/^connector\.proj\.weight/, "resampler.proj"],
  ...decoderNames("llm.model.", "llm.lm_head."),
];

// long because a model is described once, from its first layer to its last
/** Builds the model that a MiniCPM-V 2.6 or 4.0 checkpoint holds. */
export function minicpmv(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["minicpmv"]);
  const decoderType = DECODERS[versionOf(config)];
  const v = config.object("vision_config");
  const slice = config.object("slice_config");
  const dropped = config.flag("drop_vision_last_layer", true) ? 1 : 0;
  const known = siglipOf(v), { patch, block: { dim } } = known;
  const tower = { ...known, layers: known.layers - dropped };
  const size = sideOf(config);
  const side = size / patch, queries = config.size("query_num", 64);
  const longest = LONGEST * side;
  const text = decoderBlock(config.with({ model_type: decoderType }));
  if (
    !Number.isInteger(side) || text.dim % 128 !== 0 ||
    slice.size("patch_size", patch) !== patch
  ) {
    throw new RangeError(
      `Cannot build ${architecture}: scale_resolution must be a multiple of patch_size and hidden_size of 128: they are ${size}, ${patch} and ${text.dim}`,
    );
  }
  const pool: Resampler = {
    kv: dim,
    dim: text.dim,
    queries,
    heads: text.dim / 128,
    eps: 1e-6,
    positions: { gridSize: longest, interpolation: "axis_sum" },
  };

  const g = new Builder();
  const positions = v.size("image_size") / patch; // side of the table
  const seen = siglip(g, tower, {
    gridSize: positions,
    interpolation: "bucket",
  });
  const vocabulary = config.size("vocab_size");
  decoder(g, resampler(g, seen, pool), text, {
    layers: config.layers("num_hidden_layers"),
    vocabulary,
    tied: config.flag("tie_word_embeddings", false),
  });

  const rows = placeholders("<unk>", queries);
  const number = config.flag("use_image_id", true)
    ? "<image_id>{image}</image_id>"
    : "";
  const whole = `${number}<image>${rows}</image>`;
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: maxPositions(config),
    stopIds: stopsOf(checkpoint, config),
    image: {
      height: size,
      width: size,
      patchSize: patch,
      nativeResolution: true,
      maxPatches: maxPatchesOf(side, longest),
      tokens: queries,
      fixedTokens: true,
      tokenId: checkpoint.idOf?.("<unk>") ?? config.id("image_token_id"),
      text: whole,
      tiles: {
        begin: whole,
        tile: `<slice>${rows}</slice>`,
        rowEnd: "",
        rowGap: "\n",
        end: "",
      },
    },
  };
  const nameOf = naming(NAMES);
  const keys = { keys: () => axisPositions(text.dim, longest) };
  const sourceOf = (param: string): Source => {
    const pooled = resamplerSource(param, "resampler.", pool, keys);
    if (pooled) return pooled;
    const name = nameOf(param);
    return param === "connector.proj.weight"
      ? { from: [name], make: transposed }
      : name;
  };
  return {
    info,
    nodes: g.nodes,
    params: bind(checkpoint, g.nodes, vocabulary, side * side, sourceOf),
  };
}

/**
 * Maximum patches of a picture with sides a·b ≤ side² after rounding: (a + ½)(b
 * + ½), largest at the maximum elongation.
 */
function maxPatchesOf(side: number, longest: number): number {
  return Math.floor(side ** 2 + (longest + side ** 2 / longest) / 2 + 0.25);
}

/** Decoders by version. */
const DECODERS = { "2.6": "qwen2", "4": "llama" } as const;

/** Its version: a string in files of transformers 4.4x, a number in others. */
function versionOf(config: Config): keyof typeof DECODERS {
  const version = config.label("version", "2.6").replace(/\.0$/, "");
  if (version === "2.6" || version === "4") return version;
  throw new RangeError(
    `Cannot build minicpmv: version must be 2.6, with a Qwen2 decoder, or 4.0, with a Llama decoder: it is ${version}`,
  );
}

/** Side of a square picture or slice in pixels. */
function sideOf(config: Config): number {
  return config.object("slice_config").size("scale_resolution", 448);
}

/** Stop ids of the config and of the original's code (`terminators`). */
function stopsOf({ idOf }: Checkpoint, config: Config): number[] {
  const named = ["<|im_end|>", "<|endoftext|>"].flatMap((t) => idOf?.(t) ?? []);
  return [...new Set([...named, ...stopIds(config)])];
}

/**
 * Prompts that MiniCPM-V's repository builds in code: each part of a message is
 * on its own line.
 */
export function minicpmvSupplement(config: Config): Supplement {
  const side = sideOf(config);
  const slice = config.object("slice_config");
  return {
    template: chatml(
      "<unk>",
      versionOf(config) === "2.6" ? "You are a helpful assistant." : undefined,
      { between: "\\n" },
    ),
    processor: {
      image_processor_type: "MiniCPMVImageProcessor",
      scale_resolution: side,
      patch_size: config.object("vision_config").size("patch_size"),
      max_slice_nums: slice.size("max_slice_nums", 9),
      norm_mean: [0.5, 0.5, 0.5],
      norm_std: [0.5, 0.5, 0.5],
    },
  };
}
