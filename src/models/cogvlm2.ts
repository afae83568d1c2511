/**
 * CogVLM2: GLM-4V's tower and a Llama 3 decoder with separate linears for image
 * rows, its visual experts (modeling_cogvlm.py of the published checkpoint).
 * Image rows come first, then text rows, so each expert has one contiguous
 * range. An image starts with a learned row that has its own position and
 * passes the experts; the other rows share the next position. Its end row is a
 * token embedding and passes the language's linears.
 * @module
 */
import type { Modality } from "../graph/phase.ts";
import type { Model } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Block, decoderBlock, stopIds } from "./block.ts";
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
import { withRows } from "./rows.ts";
import { clipPixels, type Supplement } from "./supplement.ts";

const VISION = "model.vision.", LAYER = "model.layers.$1.";

/**
 * Parameter names → the checkpoint's names; an expert's parameters are below
 * `text.N.vision` or `text.N.text`.
 */
const NAMES: readonly (readonly [RegExp, string])[] = [
  ...evaNames(VISION),
  [/^connector\.begin\.weight/, `${VISION}boi`],
  [/^text\.embed\./, "model.embed_tokens."],
  [/^text\.(\d+)\.norm1\./, `${LAYER}input_layernorm.`],
  [/^text\.(\d+)\.norm2\./, `${LAYER}post_attention_layernorm.`],
  ...experts("vision", "vision"),
  ...experts("text", "language"),
  [/^text\.norm\./, "model.norm."],
  [/^text\.head\./, "lm_head."],
];

function experts(rows: Modality, name: string): (readonly [RegExp, string])[] {
  const of = (part: string) =>
    new RegExp(`^text\\.(\\d+)\\.${rows}\\.${part}\\.`);
  const attention = `${LAYER}self_attn.${name}_expert_`;
  return [
    [of("[qkv]"), `${attention}query_key_value.`],
    [of("o"), `${attention}dense.`],
    [of("(gate|up|down)"), `${LAYER}mlp.${name}_mlp.$2_proj.`],
  ];
}

/**
 * Placeholder tokens of an image row and of the image's end: reserved tokens,
 * with their ids.
 */
const ROW = ["<|reserved_special_token_0|>", 128002] as const;
const END = ["<|reserved_special_token_1|>", 128003] as const;

/** Builds the model that a CogVLM2 checkpoint holds. */
export function cogvlm2(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config), architecture = "cogvlm2";
  const v = config.object("vision_config");
  const text: Block = decoderBlock(config.with({
    model_type: "llama",
    num_key_value_heads: config.size("num_multi_query_heads"),
    rope_theta: 500000, // a constant in the original's code
  }));
  const tower = evaOf(v, {
    merged: v.size("hidden_size"),
    text: text.dim,
    ffn: config.size("intermediate_size"),
  });
  const tokens = patchesOf(tower) / 4 + 1;
  const vocabulary = config.size("vocab_size");
  const idOf = ([token, id]: readonly [string, number]) =>
    checkpoint.idOf?.(token) ?? id;

  const g = new Builder();
  const begin = g.learnedEmbedding("connector.begin", text.dim, { rows: 1 });
  const image = g.concatRows("connector.rows", [begin, eva(g, tower)]);
  g.phase = "text";
  g.residualAdd("text", image, "vision");
  g.residualAdd("text", g.embedding("text.embed", text.dim), "text");
  for (let i = 0; i < config.layers("num_hidden_layers"); i++) {
    expertBlock(g, `text.${i}`, text);
  }
  const last = g.norm("text.norm", "text", text.dim, "rms", text.eps);
  g.linear("text.head", g.lastRow("text.last", last), text.dim, vocabulary);

  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: config.size("max_position_embeddings"),
    stopIds: stopIds(config),
    image: {
      height: tower.size,
      width: tower.size,
      patchSize: tower.patch,
      tokens,
      tokenId: idOf(ROW),
      text: placeholders(ROW[0], tokens) + END[0],
      sharedPosition: true,
      leadingTokens: 1,
    },
  };
  return {
    info,
    nodes: g.nodes,
    params: bind(
      checkpoint,
      g.nodes,
      vocabulary,
      patchesOf(tower) + 1,
      sources(text, tower, idOf(END)),
    ),
  };
}

/** A decoder block with two linears each, one per modality. */
function expertBlock(g: Builder, id: string, c: Block): void {
  const q = c.heads * c.headDim, kv = c.kvHeads * c.headDim;
  const both = (add: (at: string, modality: Modality) => void) => {
    for (const modality of ["vision", "text"] as const) {
      add(`${id}.${modality}`, modality);
    }
  };
  const x = g.norm(`${id}.norm1`, "text", c.dim, c.norm, c.eps);
  both((at, modality) => {
    for (const part of ["q", "k", "v"]) {
      const bias = modality === "vision", n = part === "q" ? q : kv;
      const y = g.linear(`${at}.${part}`, x, c.dim, n, { bias, modality });
      g.residualAdd(`${id}.${part}`, y, modality);
    }
  });
  const whole = (part: string, n: number) =>
    g.residualRead(`${id}.${part}`, `${id}.${part}`, n);
  const a = g.attention(`${id}.attend`, {
    q: whole("q", q),
    k: whole("k", kv),
    v: whole("v", kv),
    heads: c.heads,
    kvHeads: c.kvHeads,
    headDim: c.headDim,
    ...c.attention,
    mropeSection: [c.headDim / 2],
  });
  both((at, modality) =>
    g.residualAdd(
      "text",
      g.linear(`${at}.o`, a, q, c.dim, { modality }),
      modality,
    )
  );
  const y = g.norm(`${id}.norm2`, "text", c.dim, c.norm, c.eps);
  both((at, modality) => {
    const gate = g.linear(`${at}.gate`, y, c.dim, c.ffn, { modality });
    const up = g.linear(`${at}.up`, y, c.dim, c.ffn, { modality });
    const h = g.activation(`${at}.act`, c.activation, c.ffn, up, gate);
    g.residualAdd("text", g.linear(`${at}.down`, h, c.ffn, c.dim), modality);
  });
}

/** Sources of the parameters. */
function sources(
  { heads, kvHeads, headDim: d }: Block,
  tower: Eva,
  end: number,
): (param: string) => Source {
  const nameOf = naming(NAMES);
  const first = { q: 0, k: heads * d, v: (heads + kvHeads) * d };
  const rows = { q: heads * d, k: kvHeads * d, v: kvHeads * d };
  return (param) => {
    const seen = evaSource(param, VISION, tower, nameOf);
    if (seen) return seen;
    const from = [nameOf(param)];
    if (param === "text.embed.weight") {
      return {
        from: [...from, `${VISION}eoi`],
        make: (t, eoi) => withRows(t, [end], [eoi]),
      };
    }
    const part = /^text\.\d+\.\w+\.([qkv])\./.exec(param)?.[1];
    if (part === undefined) return from[0];
    const p = part as "q" | "k" | "v";
    const make = (t: Tensor) => rowsOf(t, first[p], first[p] + rows[p]);
    return { from, make };
  };
}

/**
 * Prompts that CogVLM2's repository builds in code
 * (`build_conversation_input_ids`, chat): the pictures of a message come before
 * its question; several pictures are on separate lines, so that the original's
 * expert rule would separate them.
 */
export function cogvlm2Supplement(config: Config): Supplement {
  return {
    template: "{{ bos_token }}{% for message in messages %}" +
      "{% set pictures = message['content'] | selectattr('type', 'equalto', 'image') | list %}" +
      `{% for picture in pictures %}{{ '${
        ROW[0]
      }' }}{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}` +
      "{% if message['role'] == 'user' %}{{ 'Question: ' }}{% elif message['role'] == 'assistant' %}{{ ' ' }}{% endif %}" +
      "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}" +
      "{% if message['role'] == 'user' %}{{ ' Answer:' }}{% else %}{{ '\\n' }}{% endif %}{% endfor %}",
    processor: clipPixels(config.object("vision_config").size("image_size")),
  };
}
