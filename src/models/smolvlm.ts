/**
 * SmolVLM and Idefics3: a SigLIP tower, pixel shuffle, one linear connector and
 * a Llama decoder (transformers: `smolvlm`, `idefics3`). One image tile.
 * @module
 */
import type { Activation, Model, ModelInfo } from "../graph/node.ts";
import { Builder } from "./builder.ts";
import { bind, type Checkpoint } from "./checkpoint.ts";
import { Config } from "./config.ts";

/** HF's spelling of the activations. */
const ACTIVATION: Record<string, Activation> = {
  gelu_pytorch_tanh: "gelu_tanh",
  gelu_new: "gelu_tanh",
  gelu: "gelu",
  quick_gelu: "quick_gelu",
  silu: "silu",
};
const ACTIVATION_NAMES = Object.keys(ACTIVATION);

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
  [/^text\.embed\./, "model.text_model.embed_tokens."],
  [/^text\.(\d+)\.norm1\./, "model.text_model.layers.$1.input_layernorm."],
  [
    /^text\.(\d+)\.norm2\./,
    "model.text_model.layers.$1.post_attention_layernorm.",
  ],
  [/^text\.(\d+)\.([qkvo])\./, "model.text_model.layers.$1.self_attn.$2_proj."],
  [/^text\.(\d+)\.(gate|up|down)\./, "model.text_model.layers.$1.mlp.$2_proj."],
  [/^text\.norm\./, "model.text_model.norm."],
  [/^text\.head\./, "lm_head."],
];

/** The checkpoint's name of one of our parameters. */
function nameOf(param: string): string {
  for (const [pattern, name] of NAMES) {
    if (pattern.test(param)) return param.replace(pattern, name);
  }
  throw new RangeError(`Cannot name parameter "${param}" in the checkpoint`);
}

/** Writes a transformer block; reads its residual stream twice and writes it twice. */
interface Block {
  readonly stream: string;
  readonly dim: number;
  readonly ffn: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly norm: "layer" | "rms";
  readonly eps: number;
  readonly bias: boolean;
  readonly act: Activation;
  readonly gated: boolean;
  readonly theta?: number;
}

function block(g: Builder, id: string, c: Block): void {
  const bias = { bias: c.bias };
  const q = c.heads * c.headDim, kv = c.kvHeads * c.headDim;
  const x = g.read(`${id}.norm1`, c.stream, c.dim, c.norm, c.eps);
  const a = g.attend(`${id}.attend`, {
    q: g.linear(`${id}.q`, x, c.dim, q, bias),
    k: g.linear(`${id}.k`, x, c.dim, kv, bias),
    v: g.linear(`${id}.v`, x, c.dim, kv, bias),
    heads: c.heads,
    kvHeads: c.kvHeads,
    headDim: c.headDim,
    ...(c.theta === undefined
      ? { mask: "full" as const }
      : { mask: "causal" as const, theta: c.theta }),
  });
  g.write(c.stream, g.linear(`${id}.o`, a, q, c.dim, bias));
  const y = g.read(`${id}.norm2`, c.stream, c.dim, c.norm, c.eps);
  const gate = c.gated
    ? g.linear(`${id}.gate`, y, c.dim, c.ffn, bias)
    : undefined;
  const up = g.linear(`${id}.up`, y, c.dim, c.ffn, bias);
  const h = g.act(`${id}.act`, c.act, c.ffn, up, gate);
  g.write(c.stream, g.linear(`${id}.down`, h, c.ffn, c.dim, bias));
}

/** Builds the model that a SmolVLM or Idefics3 checkpoint holds. */
export function smolvlm(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config);
  const architecture = config.choice("model_type", ["smolvlm", "idefics3"]);
  const v = config.object("vision_config"), t = config.object("text_config");
  const factor = config.size("scale_factor", 2);
  const patch = v.size("patch_size", 32), size = v.size("image_size", 224);
  const channels = v.size("num_channels", 3);
  const side = size / patch, vocabulary = t.size("vocab_size");
  if (channels !== 3 || !Number.isInteger(side / factor)) {
    throw new RangeError(
      `Cannot build ${architecture}: images must have 3 channels and a side of patch_size times a multiple of scale_factor: they have ${channels} channels, side ${size}, patch_size ${patch}, scale_factor ${factor}`,
    );
  }
  const vision: Block = {
    stream: "vision",
    dim: v.size("hidden_size"),
    ffn: v.size("intermediate_size"),
    heads: v.size("num_attention_heads"),
    kvHeads: v.size("num_attention_heads"),
    headDim: v.size("hidden_size") / v.size("num_attention_heads"),
    norm: "layer",
    eps: v.number("layer_norm_eps", 1e-6),
    bias: true,
    act:
      ACTIVATION[v.choice("hidden_act", ACTIVATION_NAMES, "gelu_pytorch_tanh")],
    gated: false,
  };
  const text: Block = {
    stream: "text",
    dim: t.size("hidden_size"),
    ffn: t.size("intermediate_size"),
    heads: t.size("num_attention_heads"),
    kvHeads: t.size("num_key_value_heads", t.size("num_attention_heads")),
    headDim: t.size(
      "head_dim",
      t.size("hidden_size") / t.size("num_attention_heads"),
    ),
    norm: "rms",
    eps: t.number("rms_norm_eps", 1e-5),
    bias: false,
    act: ACTIVATION[t.choice("hidden_act", ACTIVATION_NAMES, "silu")],
    gated: true,
    theta: ropeTheta(t),
  };
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
  for (let i = 0; i < v.size("num_hidden_layers"); i++) {
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

  g.phase = "text";
  g.write("text", image, "vision");
  g.write("text", g.embed("text.embed", text.dim), "text");
  for (let i = 0; i < t.size("num_hidden_layers"); i++) {
    block(g, `text.${i}`, text);
  }
  const last = g.last(
    "text.last",
    g.read("text.norm", "text", text.dim, "rms", text.eps),
  );
  g.linear(
    "text.head",
    last,
    text.dim,
    vocabulary,
    tied ? { weight: "text.embed.weight" } : {},
  );

  const imageTokens = (side / factor) ** 2;
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: t.size("max_position_embeddings"),
    imageTokens,
    imageTokenId: config.size("image_token_id"),
    imageText: "<fake_token_around_image><global-img>" +
      "<image>".repeat(imageTokens) + "<fake_token_around_image>",
    stopIds: stopIds(config, t),
    image: { height: size, width: size, patch },
  };
  return {
    info,
    nodes: g.nodes,
    params: bind(checkpoint, g.nodes, vocabulary, side * side, nameOf),
  };
}

/** Rotary base: transformers 5 keeps it in `rope_parameters`, older files in `rope_theta`. */
function ropeTheta(text: Config): number {
  const rope = text.object("rope_parameters");
  rope.choice("rope_type", ["default"], "default");
  return rope.has("rope_theta")
    ? rope.number("rope_theta")
    : text.number("rope_theta", 10000);
}

function stopIds(config: Config, text: Config): number[] {
  return [
    ...new Set(
      [config, text].filter((c) => c.has("eos_token_id")).map((c) =>
        c.size("eos_token_id")
      ),
    ),
  ];
}
