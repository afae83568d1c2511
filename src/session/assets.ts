/**
 * Assets of a model file: tokenizer, chat template, image
 * settings, and the ids that end an answer.
 * @module
 */
import type { ModelFile } from "../format/model_file.ts";
import { parseSettings, StrictJsonError } from "../format/strict_json.ts";
import { type ImagePlan, withinPixels } from "../image/plan.ts";
import { readImagePlan } from "../image/processors.ts";
import type { ChatFormat } from "../tokenizer/chat.ts";
import { readTokenizer, type Tokenizer } from "../tokenizer/tokenizer.ts";
import { imageFormat } from "../graph/image_text.ts";
import type { ModelInfo } from "../graph/info.ts";
import { type Vocabulary, vocabularyOf } from "../constrain/constraint.ts";
import { RuntimeError } from "../graph/error.ts";

/** A model's assets, read and checked. */
export interface Assets {
  readonly tokenizer: Tokenizer;
  readonly chat: ChatFormat;
  /** Absent where the model reads text only. */
  readonly image?: ImagePlan;
  /** Ids that end an answer. */
  readonly stopIds: ReadonlySet<number>;
  /** Whether an answer may contain an id: not the image token, nor padding of the vocabulary. */
  isAllowed(id: number): boolean;
  /** All ids that no answer may contain; computed at first use. */
  disallowed(): Int32Array;
  /** Its tokens, sorted for answers that follow a schema; computed at first use. */
  vocabulary(): Vocabulary;
}

/**
 * Reads the assets; throws a `FormatError`, `TokenizerError` or `ImageError` for an invalid one.
 * @param maxPixels most pixels of an image, where not the model's own
 */
export function readAssets(
  file: ModelFile,
  info: ModelInfo,
  maxPixels?: number,
): Assets {
  const tokenizer = readTokenizer(file.assetText("tokenizer.json"));
  if (tokenizer.size > info.vocabulary) {
    throw new RuntimeError(
      "info",
      `Cannot open the model: its tokenizer has ids up to ${
        tokenizer.size - 1
      } for a vocabulary of ${info.vocabulary}`,
    );
  }
  const { image } = info;
  const isAllowed = (id: number) => id !== image?.tokenId && has(tokenizer, id);
  let vocabulary: Vocabulary | undefined, disallowed: Int32Array | undefined;
  return {
    tokenizer,
    chat: {
      template: file.assetText("chat_template.jinja"),
      ...imageFormat(tokenizer, info),
      variables: specialTokens(file),
    },
    ...(image
      ? {
        image: withinPixels(
          readImagePlan(file.assetText("preprocessor_config.json")),
          maxPixels ?? image.height * image.width,
        ),
      }
      : {}),
    isAllowed,
    disallowed: () =>
      disallowed ??= Int32Array.from({ length: info.vocabulary }, (_, id) => id)
        .filter((id) => !isAllowed(id)),
    vocabulary: () => vocabulary ??= vocabularyOf(tokenizer, isAllowed),
    stopIds: new Set([...info.stopIds, ...generationStops(file, info)]),
  };
}

function has(tokenizer: Tokenizer, id: number): boolean {
  if (id >= tokenizer.size) return false; // padding of the vocabulary
  try {
    tokenizer.decode([id]);
    return true;
  } catch {
    return false;
  }
}

function json(file: ModelFile, name: string): Record<string, unknown> {
  if (!file.assets.includes(name)) return {};
  try {
    return parseSettings(file.assetText(name));
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    throw new RuntimeError(
      "info",
      `Cannot open the model: its ${name} ${error.message}`,
    );
  }
}

/** bos_token and other special tokens that templates may use. */
function specialTokens(file: ModelFile): Record<string, string> {
  const out: Record<string, string> = {};
  for (
    const [key, value] of Object.entries(json(file, "tokenizer_config.json"))
  ) {
    if (!/^[a-z]+_token$/.test(key)) continue;
    const text = typeof value === "string"
      ? value
      : (value as { content?: unknown } | null)?.content;
    if (typeof text === "string") out[key] = text;
  }
  return out;
}

function generationStops(file: ModelFile, { vocabulary }: ModelInfo): number[] {
  const ids = json(file, "generation_config.json").eos_token_id;
  return [ids].flat().filter((id): id is number =>
    Number.isInteger(id) && id as number >= 0 && id as number < vocabulary
  );
}
