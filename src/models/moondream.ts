/**
 * moondream2 and moondream 0.5B: a SigLIP tower, two linears, and a decoder
 * with parallel attention and MLP after one LayerNorm (moondream/torch of the
 * published repository: `moondream1`). A prompt starts with a begin token and
 * 729 image rows that all attend to each other; here the begin token's
 * embedding is the first image row. The original concatenates the features of
 * the whole picture and of its crops; for a picture of one crop both are equal,
 * so the two halves of the first linear are added.
 * @module
 */
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import { reshape, type Tensor } from "../tensor/tensor.ts";
import { block, towerBlock } from "./block.ts";
import { Builder } from "./builder.ts";
import {
  bind,
  type Checkpoint,
  naming,
  rowsOf,
  type Source,
} from "./checkpoint.ts";
import { Config } from "./config.ts";
import { placeholders } from "./placeholders.ts";
import { halfSplitPairs } from "./rows.ts";
import type { Supplement } from "./supplement.ts";

const TOWER = "model.vision.blocks.$1.", LAYER = "model.text.blocks.$1.";

/** Parameter names → the checkpoint's names. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^vision\.patch\./, "model.vision.patch_emb."],
  [/^vision\.position\.weight/, "model.vision.pos_emb"],
  [/^vision\.(\d+)\.norm([12])\./, `${TOWER}ln$2.`],
  [/^vision\.(\d+)\.[qkv]\./, `${TOWER}attn.qkv.`],
  [/^vision\.(\d+)\.o\./, `${TOWER}attn.proj.`],
  [/^vision\.(\d+)\.up\./, `${TOWER}mlp.fc1.`],
  [/^vision\.(\d+)\.down\./, `${TOWER}mlp.fc2.`],
  [/^vision\.norm\./, "model.vision.post_ln."],
  [/^connector\.up\./, "model.vision.proj_mlp.fc1."],
  [/^connector\.down\./, "model.vision.proj_mlp.fc2."],
  [/^(text\.embed|connector\.begin)\.weight/, "model.text.wte"],
  [/^text\.(\d+)\.norm\./, `${LAYER}ln.`],
  [/^text\.(\d+)\.[qkv]\./, `${LAYER}attn.qkv.`],
  [/^text\.(\d+)\.o\./, `${LAYER}attn.proj.`],
  [/^text\.(\d+)\.up\./, `${LAYER}mlp.fc1.`],
  [/^text\.(\d+)\.down\./, `${LAYER}mlp.fc2.`],
  [/^text\.norm\./, "model.text.post_ln."],
  [/^text\.head\./, "model.text.lm_head."],
];

/** Default epsilon of F.layer_norm. */
const EPS = 1e-5;
/** Rotary channels of a text head (rope.py). */
const ROTARY = 32;

/** Sizes of the decoder. */
interface Decoder {
  readonly dim: number;
  readonly ffn: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Builds the model that a moondream checkpoint holds. */
export function moondream(checkpoint: Checkpoint): Model {
  const all = new Config(checkpoint.config);
  const architecture = all.choice("model_type", ["moondream1"]);
  const { v, t, k } = partsOf(all), text = decoderOf(t);
  const dim = v.size("enc_dim", 1152), heads = v.size("enc_n_heads", 16);
  const patch = v.size("enc_patch_size", 14), size = v.size("crop_size", 378);
  const patches = (size / patch) ** 2, inner = v.size("proj_inner_dim", 8192);
  if (!Number.isInteger(patches) || v.size("proj_out_dim", 2048) !== text.dim) {
    throw new RangeError(
      `Cannot build ${architecture}: crop_size must be a multiple of enc_patch_size and proj_out_dim the text's dim of ${text.dim}`,
    );
  }
  const ffn = v.size("enc_ff_dim", 4304), act = "gelu_tanh" as const;
  const tower = towerBlock({ dim, ffn, heads, activation: act, eps: EPS });

  const g = new Builder(), wide = 3 * patch * patch, bias = { bias: true };
  g.residualAdd("vision", g.learnedEmbedding("vision.position", dim));
  const pixels = g.patchInput("vision.pixels", wide);
  g.residualAdd("vision", g.linear("vision.patch", pixels, wide, dim, bias));
  for (let i = 0; i < v.layers("enc_n_layers", 27); i++) {
    block(g, `vision.${i}`, tower);
  }
  const seen = g.norm("vision.norm", "vision", dim, "layer", EPS);
  const up = g.linear("connector.up", seen, dim, inner, bias);
  const h = g.activation("connector.act", act, inner, up);
  const begin = g.learnedEmbedding("connector.begin", text.dim, { rows: 1 });
  const rows = g.linear("connector.down", h, inner, text.dim, bias);
  const image = g.concatRows("connector.rows", [begin, rows]);

  g.phase = "text";
  g.residualAdd("text", image, "vision");
  g.residualAdd("text", g.embedding("text.embed", text.dim), "text");
  for (let i = 0; i < t.layers("n_layers", 24); i++) {
    parallelBlock(g, `text.${i}`, text);
  }
  const vocabulary = t.size("vocab_size", 51200);
  const last = g.norm("text.norm", "text", text.dim, "layer", EPS);
  const end = g.lastRow("text.last", last);
  g.linear("text.head", end, text.dim, vocabulary, bias);

  const tokens = patches + 1, tokenId = k.number("coord_id", 5);
  const row = checkpoint.textOf?.([tokenId]) ?? "<image>";
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: t.size("max_context", 2048),
    stopIds: [k.number("eos_id", 0)],
    image: {
      height: size,
      width: size,
      patchSize: patch,
      tokens,
      tokenId,
      text: placeholders(row, tokens),
      bidirectional: true,
    },
  };
  refuseExperts(checkpoint);
  // The detection heads are not supported.
  const tensors = new Map(
    [...checkpoint.tensors].filter(([n]) => !n.startsWith("model.region.")),
  );
  const source = sources(text, dim, k.number("bos_id", 0));
  const kept = { ...checkpoint, tensors };
  return {
    info,
    nodes: g.nodes,
    params: bind(kept, g.nodes, vocabulary, patches, source),
  };
}

/** moondream3 has the same model_type: its experts and its attention temperature tell. */
function refuseExperts({ tensors }: Checkpoint): void {
  const found = [...tensors.keys()].find((name) =>
    /\.text\.blocks\.\d+\.(mlp\.router|attn\.tau)/.test(name)
  );
  if (found === undefined) return;
  throw new RangeError(
    `Cannot build moondream1: the tensor "${found}" is one of moondream3, a mixture of experts, which is not supported; use moondream2`,
  );
}

/** Attention and MLP in parallel after one norm. */
function parallelBlock(g: Builder, id: string, c: Decoder): void {
  const { dim, ffn, heads, kvHeads, headDim } = c, bias = { bias: true };
  const q = heads * headDim, kv = kvHeads * headDim;
  const x = g.norm(`${id}.norm`, "text", dim, "layer", EPS);
  const qkv = {
    q: g.linear(`${id}.q`, x, dim, q, bias),
    k: g.linear(`${id}.k`, x, dim, kv, bias),
    v: g.linear(`${id}.v`, x, dim, kv, bias),
  };
  const up = g.linear(`${id}.up`, x, dim, ffn, bias);
  const a = g.attention(`${id}.attend`, {
    ...qkv,
    heads,
    kvHeads,
    headDim,
    mask: "causal",
    ropeTheta: 10000,
    rotaryDim: ROTARY,
  });
  g.residualAdd("text", g.linear(`${id}.o`, a, q, dim, bias));
  const h = g.activation(`${id}.act`, "gelu_tanh", ffn, up);
  g.residualAdd("text", g.linear(`${id}.down`, h, ffn, dim, bias));
}

/** Sources of the parameters. */
function sources(
  { heads, kvHeads, headDim: d }: Decoder,
  dim: number,
  bos: number,
): (param: string) => Source {
  const nameOf = naming(NAMES);
  const first = { q: 0, k: heads * d, v: (heads + kvHeads) * d };
  const rows = { q: heads * d, k: kvHeads * d, v: kvHeads * d };
  return (param) => {
    const from = [nameOf(param)];
    if (param === "connector.begin.weight") {
      return { from, make: (t) => rowsOf(t, bos, bos + 1) };
    }
    if (param === "connector.up.weight") return { from, make: halvesAdded };
    if (param === "vision.position.weight") { // [1, rows, width]
      return { from, make: (t) => reshape(t, t.shape.slice(-2)) };
    }
    const [, phase, part] = /^(\w+)\.\d+\.([qkv])\./.exec(param) ?? [];
    if (part === undefined) return from[0];
    const p = part as "q" | "k" | "v", i = "qkv".indexOf(p) * dim;
    const make = (t: Tensor) => {
      if (phase === "vision") return rowsOf(t, i, i + dim);
      const own = rowsOf(t, first[p], first[p] + rows[p]);
      return p === "v" ? own : halfSplitPairs(own, d, ROTARY, "half-split");
    };
    return { from, make };
  };
}

/** W·(x, x) = (W₁ + W₂)·x: [n, 2k] → [n, k]. */
function halvesAdded(w: Tensor): Tensor {
  const [n, both] = w.shape, k = both / 2;
  return {
    shape: [n, k],
    read() {
      const from = w.read(), to = new Float64Array(n * k);
      for (let i = 0; i < to.length; i++) {
        const at = Math.floor(i / k) * both + i % k;
        to[i] = from[at] + from[at + k];
      }
      return to;
    },
  };
}

function decoderOf(t: Config): Decoder {
  const dim = t.size("dim", 2048), heads = t.size("n_heads", 32);
  const headDim = dim / heads;
  if (headDim !== 2 * ROTARY) {
    throw new RangeError(
      `Cannot build moondream1: dim / n_heads must be ${
        2 * ROTARY
      }: it is ${headDim}`,
    );
  }
  return {
    dim,
    ffn: t.size("ff_dim", 8192),
    heads,
    kvHeads: t.size("n_kv_heads", heads),
    headDim,
  };
}

/** Vision, text and tokenizer parts of the config, with moondream2's defaults. */
function partsOf(all: Config): Record<"v" | "t" | "k", Config> {
  const config = all.object("config");
  return {
    v: config.object("vision"),
    t: config.object("text"),
    k: config.object("tokenizer"),
  };
}

/**
 * Prompts that moondream's repository builds in code: token ids, one question
 * about one picture.
 */
export function moondreamSupplement(all: Config): Supplement {
  const { v, k } = partsOf(all), size = v.size("crop_size", 378);
  const query = k.object("templates").object("query");
  const ids = (key: string, fallback: number[]) =>
    query.has(key) ? query.ids(key) : fallback;
  const [before, behind] = [
    ids("prefix", [1, 15381, 2]),
    ids("suffix", [3]),
  ];
  const [bos, row] = [k.number("bos_id", 0), k.number("coord_id", 5)];
  return {
    template: (text) => {
      const quoted = (ids: readonly number[]) =>
        `{{ ${JSON.stringify(text(ids))} }}`;
      return "{% for message in messages %}" +
        "{% set pictures = message['content'] | selectattr('type', 'equalto', 'image') | list %}" +
        `{% for picture in pictures %}${
          quoted([row])
        }{% endfor %}{% if loop.first and not pictures %}${
          quoted([bos])
        }{% endif %}` +
        `{% if message['role'] == 'user' %}${quoted(before)}{% endif %}` +
        "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}" +
        `{% if message['role'] == 'user' %}${
          quoted(behind)
        }{% endif %}{% endfor %}`;
    },
    tokenizer: {
      repository: "moondream/starmie-v1",
      file: "starmie-v1.json",
      specialIds: [bos, k.number("eos_id", 0)],
    },
    processor: {
      size: { height: size, width: size },
      resample: 1,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
    },
  };
}
