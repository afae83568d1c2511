/**
 * Prompts of the original InternVL repositories (conversation.py, and
 * `InternVLChatModel.chat`, which puts a line break behind each picture).
 * @module
 */
import type { Config } from "./config.ts";
import { chatml, type Supplement } from "./supplement.ts";

const FIRST =
  "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。";
const LATER =
  "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。";

/** What a checkpoint of `internvl_chat` keeps in code: its conversation, by the config's `template`. */
export function internvlSupplement(config: Config): Supplement {
  const name = config.choice(
    "template",
    ["internlm2-chat", "Hermes-2", "internvl2_5"],
    "internvl2_5",
  );
  const later = name === "internvl2_5";
  return {
    template: (name === "internlm2-chat" ? "<s>" : "") +
      chatml("<IMG_CONTEXT>", later ? LATER : FIRST, {
        behindImage: "\\n",
        end: later ? "\\n" : "",
      }),
  };
}
