/**
 * Settings of the rotary embedding in a text config, in the layouts of
 * transformers 4 (`rope_theta` beside `rope_scaling`) and 5 (`rope_parameters`,
 * for all layers or by type of layer), as fields of an attention node.
 * Source: modeling_rope_utils.py.
 *
 * The scaling of angles for contexts of any length is a list of divisors, one
 * per pair. Two kinds change with the length of the conversation, beyond the
 * trained one: `dynamic` and `longrope` with two lists. Tables here are static,
 * so such a conversation ends at the trained length.
 * @module
 */
import type { AttentionNode } from "../graph/node.ts";
import { ln, pow } from "../tensor/math.ts";
import type { Config } from "./config.ts";

/** Rotary fields of an attention node. */
export type RopeFields = Pick<
  AttentionNode,
  | "ropeTheta"
  | "ropeScalingFactor"
  | "ropeFactors"
  | "ropeAttentionFactor"
  | "mropeSection"
  | "mropeInterleaved"
>;

const KINDS = [
  ...["default", "mrope", "linear", "dynamic", "llama3", "yarn"] as const,
  ...["longrope", "su"] as const, // su: the name of longrope in the first Phi-3
];

/** Location of the settings; transformers prefers `rope_scaling`. */
function settingsOf(text: Config): Config {
  const at = text.object(
    text.has("rope_scaling") ? "rope_scaling" : "rope_parameters",
  );
  return at.has("full_attention") ? at.object("full_attention") : at;
}

function kindOf(at: Config): typeof KINDS[number] {
  const key = at.has("rope_type") ? "rope_type" : "type";
  return at.choice(key, KINDS, "default");
}

/** Number of trained positions, before scaling. */
function trained(text: Config, at: Config): number {
  const key = "original_max_position_embeddings";
  return (text.has(key) ? text : at)
    .size(key, text.number("max_position_embeddings", 0));
}

/**
 * Rotary settings of a decoder.
 * @param headDim channels of a head, all of which are rotated
 * @param theta base if the config has none
 * @param at settings of one type of layer; default: those of all layers
 */
export function rope(
  text: Config,
  headDim: number,
  theta = 10000,
  at = settingsOf(text),
): RopeFields {
  const ropeTheta = (at.has("rope_theta") ? at : text)
    .positive("rope_theta", theta);
  for (const level of [at, text]) {
    if (level.number("partial_rotary_factor", 1) === 1) continue;
    throw new RangeError(
      `Cannot build the text tower: partial_rotary_factor must be 1`,
    );
  }
  const sections = at.sizes("mrope_section");
  const mrope = sections.length === 0
    ? {}
    : at.flag("mrope_interleaved", false)
    ? { mropeSection: sections, mropeInterleaved: true as const }
    : { mropeSection: sections };
  const pairs = headDim / 2;
  const of = (divisor: (pair: number) => number) => ({
    ropeFactors: Array.from({ length: pairs }, (_, i) => divisor(i)),
  });
  const scaled = () => {
    switch (kindOf(at)) {
      case "linear": {
        const factor = at.positive("factor");
        return sections.length > 0
          ? of(() => factor)
          : { ropeScalingFactor: factor };
      }
      case "llama3":
        return of(llama3(text, at, (i) => pow(ropeTheta, i / pairs)));
      case "yarn":
        return { ...of(yarn(text, at, ropeTheta, pairs)), ...yarnFactor(at) };
      case "longrope":
      case "su":
        return { ...of(longrope(at, pairs)), ...longropeFactor(text, at) };
      default: // dynamic changes nothing up to the trained length
        return {};
    }
  };
  return { ropeTheta, ...scaled(), ...mrope };
}

/**
 * Maximum context: `max_position_embeddings`; more with YaRN, whose tables hold for
 * the extended length; less with LongRoPE, whose factors change at the trained length.
 */
export function maxPositions(text: Config, fallback?: number): number {
  const most = text.size("max_position_embeddings", fallback);
  const at = settingsOf(text), kind = kindOf(at);
  if (kind === "yarn") {
    return Math.max(
      most,
      Math.floor(at.positive("factor") * trained(text, at)),
    );
  }
  if (kind !== "longrope" && kind !== "su") return most;
  const lists = ["short_factor", "long_factor"].map((key) => at.positives(key));
  return lists[0].join() === lists[1].join()
    ? most
    : Math.min(most, trained(text, at));
}

/**
 * Llama 3 scaling: low frequencies are divided by the factor, high ones are
 * kept, those between are interpolated.
 * @param wave positions per radian of a pair
 */
function llama3(text: Config, at: Config, wave: (pair: number) => number) {
  const factor = at.positive("factor"), length = trained(text, at);
  const low = at.positive("low_freq_factor");
  const high = at.positive("high_freq_factor");
  return (i: number) => {
    const turns = length / (2 * Math.PI * wave(i)); // in the trained length
    if (turns < low) return factor;
    if (turns > high) return 1;
    const kept = (turns - low) / (high - low);
    return 1 / ((1 - kept) / factor + kept);
  };
}

/**
 * YaRN (Peng et al. 2023): pairs with more rotations than beta_fast are kept,
 * with fewer than beta_slow divided.
 */
function yarn(text: Config, at: Config, theta: number, pairs: number) {
  const factor = at.positive("factor"), length = trained(text, at);
  const truncate = at.flag("truncate", true);
  const bound = (key: string, fallback: number, whole: typeof Math.floor) => {
    const turns = at.number(key, fallback) || fallback;
    const pair = pairs * ln(length / (turns * 2 * Math.PI)) / ln(theta);
    return truncate ? whole(pair) : pair;
  };
  const low = Math.max(bound("beta_fast", 32, Math.floor), 0);
  const high = Math.min(bound("beta_slow", 1, Math.ceil), 2 * pairs - 1);
  const span = low === high ? 0.001 : high - low;
  return (i: number) => {
    const divided = Math.min(Math.max((i - low) / span, 0), 1);
    return 1 / (divided / factor + 1 - divided);
  };
}

/** YaRN's attention factor, applied to cosines and sines. */
function yarnFactor(at: Config): Pick<RopeFields, "ropeAttentionFactor"> {
  const factor = at.positive("factor");
  const magnitude = (scale: number) =>
    factor <= 1 ? 1 : 0.1 * scale * ln(factor) + 1;
  const [own, all] = ["mscale", "mscale_all_dim"].map((key) =>
    at.number(key, 0)
  );
  return unlessOne(
    at.positive(
      "attention_factor",
      own && all ? magnitude(own) / magnitude(all) : magnitude(1),
    ),
  );
}

/**
 * LongRoPE (Ding et al. 2024): the list of factors for contexts up to the
 * trained length.
 */
function longrope(at: Config, pairs: number) {
  const list = at.positives("short_factor");
  if (list.length !== pairs) {
    throw new RangeError(
      `Cannot build the text tower: short_factor must be ${pairs} numbers, half a head's channels: they are ${list.length}`,
    );
  }
  return (i: number) => list[i];
}

function longropeFactor(
  text: Config,
  at: Config,
): Pick<RopeFields, "ropeAttentionFactor"> {
  const length = trained(text, at);
  const factor = at.positive(
    "factor",
    text.number("max_position_embeddings", length) / length,
  );
  return unlessOne(
    at.positive(
      "attention_factor",
      factor <= 1 ? 1 : Math.sqrt(1 + ln(factor) / ln(length)),
    ),
  );
}

function unlessOne(factor: number): Pick<RopeFields, "ropeAttentionFactor"> {
  return factor === 1 ? {} : { ropeAttentionFactor: factor };
}
