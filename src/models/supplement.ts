/**
 * What some families' repositories keep in code where others have files: the
 * chat template, the image settings, the words of their vocabulary. A checkpoint
 * that lacks a file gets the family's here.
 * @module
 */
import type { RankedWords } from "../tokenizer/tiktoken.ts";

/** Stand-ins for files. */
export interface Supplement {
  /** For chat_template.jinja; where its tokens are known by id, made of their text. */
  readonly template?:
    | string
    | ((text: (ids: readonly number[]) => string) => string);
  /** For preprocessor_config.json. */
  readonly processor?: Readonly<Record<string, unknown>>;
  /** Fields of preprocessor_config.json that the family's code sets, whether there is such a file or not. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** For tokenizer.json: a vocabulary of ranks, and what that file does not say. */
  readonly ranks?: {
    readonly file: string;
    /**
     * @param count tokens of the file
     * @param settings parsed tokenizer_config.json
     */
    words(
      count: number,
      settings: Readonly<Record<string, unknown>>,
    ): RankedWords;
  };
}

/** Small differences between the ChatML of families, as a template writes them. */
export interface Spacing {
  /** Between the parts of a message. */
  readonly between?: string;
  /** Behind each image. */
  readonly behindImage?: string;
  /** Behind each message; default a line break. */
  readonly end?: string;
}

/**
 * The ChatML template of Qwen-VL, MiniCPM-V and InternVL.
 * @param image token that stands for an image
 * @param system system message where the conversation has none
 */
export function chatml(
  image: string,
  system?: string,
  { between = "", behindImage = "", end = "\\n" }: Spacing = {},
): string {
  const first = system === undefined
    ? ""
    : `{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\n${system}<|im_end|>${end}' }}{% endif %}`;
  const gap = between === ""
    ? ""
    : `{% if not loop.last %}{{ '${between}' }}{% endif %}`;
  return first +
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}" +
    "{% for part in message['content'] %}" +
    `{% if part['type'] == 'image' %}{{ '${image}${behindImage}' }}{% else %}{{ part['text'] }}{% endif %}` +
    `${gap}{% endfor %}{{ '<|im_end|>${end}' }}{% endfor %}` +
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
}

/** The image settings of towers that took CLIP's: one square, bicubic. */
export function clipPixels(side: number): Readonly<Record<string, unknown>> {
  return {
    size: { height: side, width: side },
    resample: 3,
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_std: [0.26862954, 0.26130258, 0.27577711],
  };
}
