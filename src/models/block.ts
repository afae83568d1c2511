/**
 * Transformer blocks and the text decoder that most families share: pre-norm,
 * attention, pre-norm, MLP. Differences between families are parameters.
 * @module
 */
import type { Activation } from "../graph/activation.ts";
import type { AttentionNode } from "../graph/node.ts";
import type { Builder } from "./builder.ts";
import type { Config } from "./config.ts";
import { rope, type RopeFields } from "./rope.ts";

/** Activation names of transformers. */
const ACTIVATION: Record<string, Activation> = {
  gelu_pytorch_tanh: "gelu_tanh",
  gelu_new: "gelu_tanh",
  gelu: "gelu",
  quick_gelu: "quick_gelu",
  silu: "silu",
};

/** The activation in the field `key` of a config. */
export function activation(
  config: Config,
  key: string,
  fallback: string,
): Activation {
  return ACTIVATION[config.choice(key, Object.keys(ACTIVATION), fallback)];
}

/** A transformer block. */
export interface Block {
  readonly stream: string;
  readonly dim: number;
  readonly ffn: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly norm: "layer" | "rms";
  readonly eps: number;
  /** Which linears have a bias. */
  readonly bias: {
    readonly qkv: boolean;
    readonly o: boolean;
    readonly mlp: boolean;
  };
  readonly activation: Activation;
  readonly gated: boolean;
  /** Mask and rotary embedding. */
  readonly attention: Pick<
    AttentionNode,
    | keyof RopeFields
    | "mask"
    | "rotaryDim"
    | "slidingWindow"
    | "rope2d"
    | "windowSize"
  >;
  /**
   * Position of the norms; default before the sub-layers. "behind": x +
   * norm(f(x)); "both": x + norm(f(norm(x))).
   */
  readonly norms?: "behind" | "both";
  /**
   * RMSNorm of queries and keys: per head, or "together" over all heads
   * (InternViT-6B).
   */
  readonly qkNorm?: boolean | "together";
  /** Learned gains before both residual additions (LayerScale). */
  readonly layerScale?: boolean;
}

/**
 * A usual ViT block: LayerNorms, biases, as many key heads as query heads,
 * attention over all patches.
 */
export function towerBlock(
  sizes: Pick<Block, "dim" | "ffn" | "heads" | "activation"> & Partial<Block>,
): Block {
  const { dim, heads } = sizes;
  return {
    stream: "vision",
    kvHeads: heads,
    headDim: dim / heads,
    norm: "layer",
    eps: 1e-6,
    bias: { qkv: true, o: true, mlp: true },
    gated: false,
    attention: { mask: "full" },
    ...sizes,
  };
}

/**
 * Adds a block to the graph. Parameters: norm1, q, k, v, qnorm, knorm, o,
 * scale1, norm2, gate, up, down, scale2; post1 and post2 with norms "both".
 */
export function block(g: Builder, id: string, c: Block): void {
  const { bias } = c;
  const q = c.heads * c.headDim, kv = c.kvHeads * c.headDim;
  const x = subLayerInput(g, id, 1, c);
  const headed = (part: string, x: string, width: number) =>
    c.qkNorm
      ? g.qkNorm(
        `${id}.${part}norm`,
        x,
        width,
        c.qkNorm === "together" ? width : c.headDim,
        c.eps,
      )
      : x;
  const a = g.attention(`${id}.attend`, {
    q: headed("q", g.linear(`${id}.q`, x, c.dim, q, { bias: bias.qkv }), q),
    k: headed("k", g.linear(`${id}.k`, x, c.dim, kv, { bias: bias.qkv }), kv),
    v: g.linear(`${id}.v`, x, c.dim, kv, { bias: bias.qkv }),
    heads: c.heads,
    kvHeads: c.kvHeads,
    headDim: c.headDim,
    ...c.attention,
  });
  const o = g.linear(`${id}.o`, a, q, c.dim, { bias: bias.o });
  addOutput(g, id, 1, c, o);
  feedForward(g, id, c);
}

/** The second half of a block. */
export function feedForward(g: Builder, id: string, c: Block): void {
  const { bias } = c, y = subLayerInput(g, id, 2, c);
  const gate = c.gated
    ? g.linear(`${id}.gate`, y, c.dim, c.ffn, { bias: bias.mlp })
    : undefined;
  const up = g.linear(`${id}.up`, y, c.dim, c.ffn, { bias: bias.mlp });
  const h = g.activation(`${id}.act`, c.activation, c.ffn, up, gate);
  const down = g.linear(`${id}.down`, h, c.ffn, c.dim, { bias: bias.mlp });
  addOutput(g, id, 2, c, down);
}

/** The input of a sub-layer: the stream, through its norm if that comes first. */
function subLayerInput(g: Builder, id: string, i: 1 | 2, c: Block): string {
  return c.norms === "behind"
    ? g.residualRead(`${id}.enter${i}`, c.stream, c.dim)
    : g.norm(`${id}.norm${i}`, c.stream, c.dim, c.norm, c.eps);
}

/** Adds the output of a sub-layer to the stream. */
function addOutput(
  g: Builder,
  id: string,
  i: 1 | 2,
  c: Block,
  x: string,
): void {
  if (c.layerScale) x = g.channelScale(`${id}.scale${i}`, x, c.dim);
  if (c.norms) { // a norm of a stream of its own
    const norm = `${id}.${c.norms === "both" ? "post" : "norm"}${i}`;
    g.residualAdd(norm, x);
    x = g.norm(norm, norm, c.dim, c.norm, c.eps);
  }
  g.residualAdd(c.stream, x);
}

/** A block of a Llama, Qwen2 or Qwen3 decoder, from its text_config. */
export function decoderBlock(t: Config): Block {
  const type = t.choice(
    "model_type",
    [
      "llama",
      "qwen2",
      "qwen2_vl_text",
      "qwen2_vl",
      "qwen2_5_vl_text",
      "qwen2_5_vl",
      "qwen3",
      "qwen3_vl_text",
    ],
    "llama",
  );
  const dim = t.size("hidden_size"), heads = t.size("num_attention_heads");
  const biased = type.startsWith("qwen2"), qwen3 = type.startsWith("qwen3");
  const asked = t.flag("attention_bias", false);
  const headDim = t.size("head_dim", qwen3 ? 128 : dim / heads);
  if (t.flag("use_sliding_window", false)) {
    throw new RangeError(
      `Cannot build the text tower: use_sliding_window must be false`,
    );
  }
  return {
    stream: "text",
    dim,
    ffn: t.size("intermediate_size"),
    heads,
    kvHeads: t.size("num_key_value_heads", heads),
    headDim,
    qkNorm: qwen3,
    norm: "rms",
    eps: t.number("rms_norm_eps", 1e-6),
    bias: {
      qkv: biased || asked,
      o: !biased && asked,
      mlp: t.flag("mlp_bias", false),
    },
    activation: activation(t, "hidden_act", "silu"),
    gated: true,
    attention: { mask: "causal", ...rope(t, headDim) },
  };
}

/**
 * Adds the text phase to the graph: image rows, if any, and embeddings →
 * logits.
 */
export function decoder(
  g: Builder,
  image: string | undefined,
  c: Block,
  { layers, vocabulary, tied, deep = 0, layer = () => c }: {
    readonly layers: number;
    readonly vocabulary: number;
    readonly tied: boolean;
    /**
     * Number of additional values per image row, which are added after layers
     * 0, 1, … (DeepStack).
     */
    readonly deep?: number;
    /**
     * Layer i, if layers differ: a block, or a function that adds it to the
     * graph.
     */
    readonly layer?: (i: number) => Block | ((id: string) => void);
  },
): void {
  const part = (i: number) =>
    deep > 0 ? [i * c.dim, c.dim] as const : undefined;
  g.phase = "text";
  if (image !== undefined) g.residualAdd("text", image, "vision", part(0));
  g.residualAdd("text", g.embedding("text.embed", c.dim), "text");
  for (let i = 0; i < layers; i++) {
    const own = layer(i), id = `text.${i}`;
    if (typeof own === "function") own(id);
    else block(g, id, own);
    if (i < deep) g.residualAdd("text", image!, "vision", part(i + 1));
  }
  const norm = g.norm("text.norm", "text", c.dim, "rms", c.eps);
  const weight = tied ? { weight: "text.embed.weight" } : {};
  g.linear(
    "text.head",
    g.lastRow("text.last", norm),
    c.dim,
    vocabulary,
    weight,
  );
}

/** Stop token ids of a config and its text_config: one id or a list. */
export function stopIds(...configs: readonly Config[]): number[] {
  return [...new Set(configs.flatMap((c) => c.ids("eos_token_id")))];
}
