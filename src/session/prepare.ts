/**
 * From messages to a prompt and token constraints: everything before the model runs.
 * @module
 */
import { boundsOf } from "../image/plan.ts";
import { imageText, untiled } from "../graph/image_text.ts";
import { imageInfoOf, type ModelInfo } from "../graph/info.ts";
import { chat, type ChatMessage } from "../tokenizer/chat.ts";
import type { AskOptions, Message, Progress } from "./ask.ts";
import type { Assets } from "./assets.ts";
import { type Choice, choiceOf } from "./choose.ts";
import { RuntimeError } from "../graph/error.ts";
import {
  type ImageInput,
  type Picture,
  type PictureLimits,
  type TowerTiles,
  towerTiles,
} from "./picture.ts";
import { pictureOf } from "./picture_source.ts";
import { demand } from "./sample.ts";

const MAX_TOKENS = 256;
const MAX_TILES = 64;

/** A request that is checked, except for its images, which are not decoded yet. */
export interface Examined {
  readonly messages: readonly Message[];
  readonly options: AskOptions;
  /** Its images, in order, not decoded. */
  readonly images: readonly Picture[];
  readonly stops: readonly string[];
  /** Requested maxTokens. */
  readonly wanted: number;
  readonly limits: PictureLimits;
  /** Whether the prompt depends on the images' pixels, because they are cut into tiles or keep their size. */
  readonly cutFirst: boolean;
}

/** A request that is ready to run. */
export interface Job {
  /** Token ids of the prompt, image tokens expanded. */
  readonly ids: readonly number[];
  /** Its images, in order. */
  readonly images: readonly Picture[];
  /** Their tiles, where the prompt depends on them. */
  readonly tiles?: readonly TowerTiles[];
  readonly choice: Choice;
  readonly stops: readonly string[];
  /** Most tokens of the answer. */
  readonly most: number;
  readonly progress: (
    stage: Progress["stage"],
    done: number,
    total: number,
  ) => void;
}

/**
 * Checks a request's options and fetches its images.
 * @throws {RuntimeError} "option" or "prompt"
 */
export async function examine(
  assets: Assets,
  info: ModelInfo,
  messages: readonly Message[],
  options: AskOptions,
): Promise<Examined> {
  const { maxTokens: wanted = MAX_TOKENS, maxTiles = 1 } = options;
  demand(
    Number.isInteger(wanted) && wanted >= 1,
    "maxTokens",
    "a whole number from 1",
    wanted,
  );
  const stops = checkedStops(options.stop ?? []);
  demand(
    Number.isInteger(maxTiles) && maxTiles >= 1 && maxTiles <= MAX_TILES,
    "maxTiles",
    `a whole number from 1 to ${MAX_TILES}`,
    maxTiles,
  );
  const images = await Promise.all(
    imagesOf(messages).map((image) => pictureOf(image, options.signal)),
  );
  if (images.length > 0 && !info.image) {
    throw new RuntimeError(
      "prompt",
      `Cannot answer: the messages have ${images.length} images, but the model (${info.architecture}) is text-only; remove them, or open a vision-language model`,
    );
  }
  const { image } = info;
  return {
    messages,
    options,
    images,
    stops,
    wanted,
    limits: { tiles: maxTiles, ...pixelLimits(assets, options) },
    cutFirst: images.length > 0 &&
      Boolean(maxTiles > 1 && image?.tiles || image?.nativeResolution),
  };
}

/**
 * Builds the prompt and the token constraints. Where the prompt depends on the
 * images, they are decoded here, one after the other. This happens only when the
 * request runs: decoding all waiting requests at once would fill the memory.
 * @throws {RuntimeError} "option", "schema" or "context"
 */
export async function prepare(
  examined: Examined,
  assets: Assets,
  info: ModelInfo,
  context: number,
  signal?: AbortSignal,
): Promise<Job> {
  const { messages, options, images, stops, wanted, limits } = examined;
  const progress: Job["progress"] = (stage, done, total) =>
    options.onProgress?.({ stage, done, total });
  let tiles: TowerTiles[] | undefined;
  if (examined.cutFirst) {
    tiles = [];
    for (const [i, picture] of images.entries()) {
      progress("image", i, images.length);
      signal?.throwIfAborted();
      tiles.push(
        await towerTiles(picture, assets.image!, imageInfoOf(info), limits),
      );
    }
  }
  const ids = promptOf(assets, messages, info, tiles);
  const room = context - ids.length;
  if (room < 1) {
    throw new RuntimeError(
      "context",
      `Cannot answer: the prompt must leave room in a context of ${context} tokens: it has ${ids.length}; shorten it or open the model with a larger context`,
    );
  }
  const most = Math.min(wanted, room);
  return {
    ids,
    images,
    ...(tiles ? { tiles } : {}),
    choice: choiceOf(options, assets, most),
    stops,
    most,
    progress,
  };
}

function checkedStops(stop: readonly string[]): readonly string[] {
  demand(stop.length <= 4, "stop", "at most 4 texts", `${stop.length} texts`);
  for (const s of stop) {
    demand(
      typeof s === "string" && s !== "" && s.length <= 256,
      "each stop text",
      "of 1 to 256 characters",
      JSON.stringify(s)?.slice(0, 40),
    );
  }
  return stop;
}

/** Pixel limits of a request; none for families of one size. */
function pixelLimits(
  { image }: Assets,
  { maxPixels, minPixels }: AskOptions,
): PictureLimits {
  const bounds = image && boundsOf(image);
  if (!bounds) return {};
  const { most, unit } = bounds, least = unit ** 2;
  const check = (name: string, value: number | undefined, to: number) =>
    demand(
      value === undefined ||
        Number.isInteger(value) && value >= least && value <= to,
      name,
      `a whole number from ${least} (one token) to ${to}`,
      value,
    );
  check("maxPixels", maxPixels, most);
  check("minPixels", minPixels, maxPixels ?? most);
  return {
    ...(maxPixels === undefined ? {} : { pixels: maxPixels }),
    ...(minPixels === undefined ? {} : { least: minPixels }),
  };
}

function imagesOf(messages: readonly Message[]): ImageInput[] {
  return messages.flatMap(({ content }) =>
    typeof content === "string"
      ? []
      : content.flatMap((part) => part.type === "image" ? [part.image] : [])
  );
}

function promptOf(
  { tokenizer, chat: format }: Assets,
  messages: readonly Message[],
  info: ModelInfo,
  tiles: readonly TowerTiles[] | undefined,
): number[] {
  const plain = messages.map(({ role, content }): ChatMessage => ({
    role,
    content: typeof content === "string"
      ? [{ type: "text", text: content }]
      : content.map((part) => part.type === "text" ? part : { type: "image" }),
  }));
  if (!format.image) return chat(tokenizer, plain, format).ids;
  const tokens = (i: number) => imageText(info, tiles?.[i] ?? untiled(info), i);
  const image = { ...format.image, tokens };
  return chat(tokenizer, plain, { ...format, image }).ids;
}
