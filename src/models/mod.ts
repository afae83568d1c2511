/**
 * The supported architectures, by `model_type`.
 * @module
 */
import { quoted } from "../format/error.ts";
import { schemeOf } from "../format/quantization/scheme.ts";
import type { Model } from "../graph/node.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { Config } from "./config.ts";
import { cogvlm2, cogvlm2Supplement } from "./cogvlm2.ts";
import { fastvlm } from "./fastvlm.ts";
import { gemma3 } from "./gemma3.ts";
import { glm4v, glm4vSupplement } from "./glm4v.ts";
import { internvl } from "./internvl.ts";
import { internvlSupplement } from "./internvl_prompt.ts";
import { lfm2vl } from "./lfm2vl.ts";
import { llama } from "./llama.ts";
import { llava } from "./llava.ts";
import { minicpmv, minicpmvSupplement } from "./minicpmv.ts";
import { moondream, moondreamSupplement } from "./moondream.ts";
import { nanovlm, nanovlmSupplement } from "./nanovlm.ts";
import { qwen2vl } from "./qwen2vl.ts";
import { qwen3vl } from "./qwen3vl.ts";
import { qwenvl, qwenvlSupplement } from "./qwenvl.ts";
import { smolvlm } from "./smolvlm.ts";
import type { Supplement } from "./supplement.ts";
import { withTrueTie } from "./tied_head.ts";

const ARCHITECTURES: Record<string, (checkpoint: Checkpoint) => Model> = {
  fast_vlm: fastvlm,
  smolvlm,
  idefics3: smolvlm,
  internvl,
  internvl_chat: internvl,
  lfm2_vl: lfm2vl,
  llava,
  llava_onevision: llava,
  llama,
  qwen2: llama,
  qwen3: llama,
  qwen2_vl: qwen2vl,
  qwen2_5_vl: qwen2vl,
  qwen3_vl: qwen3vl,
  qwen: qwenvl,
  minicpmv,
  nanovlm,
  chatglm: glm4v,
  gemma3,
  CogVLMForCausalLM: cogvlm2,
  moondream1: moondream,
};

/** All supported values of `model_type`. */
export const FAMILY_TYPES: readonly string[] = Object.keys(ARCHITECTURES);

const SUPPLEMENTS: Record<string, (config: Config) => Supplement> = {
  internvl_chat: internvlSupplement,
  qwen: qwenvlSupplement,
  minicpmv: minicpmvSupplement,
  nanovlm: nanovlmSupplement,
  chatglm: glm4vSupplement,
  CogVLMForCausalLM: cogvlm2Supplement,
  moondream1: moondreamSupplement,
};

/**
 * The architecture of a config.json: `model_type`, or its class if the
 * repository registers no type; nanoVLM has neither.
 */
export function typeOf(config: Record<string, unknown>): string {
  if ("mp_pixel_shuffle_factor" in config) return "nanovlm";
  const name = config.model_type ?? [config.architectures].flat()[0];
  return typeof name === "string" ? name : `${JSON.stringify(name)}`;
}

/** Substitutes for files that a checkpoint of this architecture may lack. */
export function supplementOf(config: Record<string, unknown>): Supplement {
  const type = typeOf(config);
  return Object.hasOwn(SUPPLEMENTS, type)
    ? SUPPLEMENTS[type](new Config(config))
    : {};
}

/**
 * Checks that the architecture and the quantization scheme of a config.json are
 * supported.
 * @throws {RangeError} for an unknown architecture or an unsupported scheme
 */
export function checkSupported(config: Record<string, unknown>): void {
  const type = typeOf(config);
  if (!Object.hasOwn(ARCHITECTURES, type)) {
    throw new RangeError(
      `Cannot import model_type ${quoted(type)}: known are ${
        Object.keys(ARCHITECTURES).join(", ")
      }; docs/adding-a-model.md shows how to add one`,
    );
  }
  schemeOf(config);
}

/**
 * Builds the graph of a checkpoint.
 * @throws {RangeError} for an unknown architecture, or tensors that do not fit
 * the config
 */
export function describe(checkpoint: Checkpoint): Model {
  checkSupported(checkpoint.config);
  const describeFamily = ARCHITECTURES[typeOf(checkpoint.config)];
  return describeFamily(withTrueTie(checkpoint));
}
