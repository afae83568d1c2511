/**
 * Supplements: chat templates, image settings and vocabularies that some
 * families define in code instead of files. They replace missing files of a
 * checkpoint.
 * @module
 */
import type { RankedWords } from "../tokenizer/tiktoken.ts";

/** Substitutes for files. */
export interface Supplement {
  /**
   * For chat_template.jinja; a function of the token texts if its tokens are
   * known by id.
   */
  readonly template?:
    | string
    | ((text: (ids: readonly number[]) => string) => string);
  /** For preprocessor_config.json. */
  readonly processor?: Readonly<Record<string, unknown>>;
  /**
   * Fields of preprocessor_config.json that the family's code sets, with or
   * without such a file.
   */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** The tokenizer.json of another repository, where the checkpoint's own is an older one. */
  readonly tokenizer?: {
    /** OWNER/NAME. */
    readonly repository: string;
    /** File name of that tokenizer.json in the checkpoint's folder. */
    readonly file: string;
    /** Ids that are special tokens in the right tokenizer. */
    readonly specialIds: readonly number[];
  };
  /** For tokenizer.json: a tiktoken vocabulary and its further settings. */
  readonly ranks?: {
    readonly file: string;
    /**
     * Settings of the vocabulary.
     * @param count number of tokens of the file
     * @param settings parsed tokenizer_config.json
     */
    words(
      count: number,
      settings: Readonly<Record<string, unknown>>,
    ): RankedWords;
  };
}

/** Variations of ChatML between families. */
export interface Spacing {
  /** Text between the parts of a message. */
  readonly between?: string;
  /** Text after each image. */
  readonly behindImage?: string;
  /** Text after each message; default a line break. */
  readonly end?: string;
}

/**
 * The ChatML template of Qwen-VL, MiniCPM-V and InternVL.
 * @param image token of an image
 * @param system system message if the conversation has none
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

/** Image settings of CLIP: one square, bicubic. */
export function clipPixels(side: number): Readonly<Record<string, unknown>> {
  return {
    size: { height: side, width: side },
    resample: 3,
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_std: [0.26862954, 0.26130258, 0.27577711],
  };
}
