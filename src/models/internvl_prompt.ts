/**
 * Prompts of the original InternVL repositories (conversation.py, and
 * `InternVLChatModel.chat`, which adds a line break after each picture).
 * @module
 */
import type { Config } from "./config.ts";
import { chatml, type Supplement } from "./supplement.ts";

const FIRST =
  "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。";
const LATER =
  "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。";

/**
 * The conversation format that `internvl_chat` defines in code, by the config's
 * `template`.
 */
export function internvlSupplement(config: Config): Supplement {
  const name = config.choice(
    "template",
    ["internlm2-chat", "Hermes-2", "internvl2_5"],
    "internvl2_5",
  );
  const later = name === "internvl2_5";
  return {
    ...(config.flag("dynamic_image_size", false)
      ? { settings: tiled(config) }
      : {}),
    template: (name === "internlm2-chat" ? "<s>" : "") +
      chatml("<IMG_CONTEXT>", later ? LATER : FIRST, {
        behindImage: "\\n",
        end: later ? "\\n" : "",
      }),
  };
}

/**
 * Tile settings of the original's `dynamic_preprocess`, equal to GotOcr2's
 * processor; its preprocessor_config.json does not contain them.
 */
function tiled(config: Config): Readonly<Record<string, unknown>> {
  const side = config.size(
    "force_image_size",
    config.object("vision_config").side("image_size", 448),
  );
  return {
    image_processor_type: "GotOcr2ImageProcessor",
    size: { height: side, width: side },
    resample: 3,
    image_mean: [0.485, 0.456, 0.406],
    image_std: [0.229, 0.224, 0.225],
    min_patches: config.size("min_dynamic_patch", 1),
    max_patches: config.size("max_dynamic_patch", 12),
  };
}
