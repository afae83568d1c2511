/**
 * One answer, from messages to text: checked before its turn, then run.
 * @module
 */
import type { Grid } from "../graph/grid.ts";
import { imageText, whole } from "../graph/image_text.ts";
import { imageInfoOf, type ModelInfo } from "../graph/node.ts";
import { chat, type ChatMessage } from "../tokenizer/chat.ts";
import type { Finish, Result } from "./answer.ts";
import type { Assets } from "./assets.ts";
import { type Choice, choiceOf, chooser } from "./choose.ts";
import type { JsonSchema } from "../constrain/json_schema.ts";
import type { Engine } from "../execute/engine.ts";
import { RuntimeError } from "../graph/error.ts";
import {
  type ImageInput,
  type Picture,
  type PictureLimits,
  type TowerTiles,
  towerTiles,
} from "./picture.ts";
import { pictureOf } from "./picture_source.ts";
import { demand, type SampleOptions } from "./sample.ts";
import type { StaticModel } from "../graph/static_model.ts";
import type { SeenImages } from "./seen_images.ts";
import { stopScanner } from "./stop.ts";

/**
 * One turn of a conversation.
 *
 * ```ts
 * import { type Message } from "@mquant/mquant";
 *
 * const messages: Message[] = [
 *   { role: "system", content: "Answer in one word." },
 *   {
 *     role: "user",
 *     content: [
 *       { type: "image", image: "models/flickr-mini/photos/cat.jpg" },
 *       { type: "text", text: "What is this?" },
 *     ],
 *   },
 * ];
 * console.log(messages.length);
 * ```
 */
export interface Message {
  /** Who speaks. */
  role: "user" | "assistant" | "system";
  /** What is said: text, or text and images in order. */
  content:
    | string
    | ({ type: "text"; text: string } | { type: "image"; image: ImageInput })[];
}

/**
 * How far an answer is.
 *
 * ```ts
 * import { type Progress } from "@mquant/mquant";
 *
 * const line = ({ stage, done, total }: Progress) => `${stage} ${done}/${total}`;
 * console.log(line({ stage: "decode", done: 3, total: 256 }));
 * ```
 */
export interface Progress {
  /** What is being done. */
  readonly stage: "image" | "vision" | "prefill" | "decode";
  /** Images or tokens done. */
  readonly done: number;
  /** Images or tokens in all; for `decode` the most there can be. */
  readonly total: number;
}

/**
 * How much of a picture is shown.
 *
 * ```ts
 * import { type PictureOptions } from "@mquant/mquant";
 *
 * const small: PictureOptions = { maxTiles: 4 };
 * console.log(small);
 * ```
 */
export interface PictureOptions {
  /**
   * Most tiles of one image, from 1 (default) to 64: more show small things and
   * take as many times longer. Families that take pictures whole stay at 1.
   */
  maxTiles?: number;
  /**
   * Most pixels of one image, of families whose pictures keep their shape: from
   * one token's to what the model was opened with (default).
   */
  maxPixels?: number;
  /** Fewest pixels of one image, of those families: smaller ones are grown; default what the model file says. */
  minPixels?: number;
}

/**
 * How to answer.
 *
 * ```ts
 * import { type AskOptions, open } from "@mquant/mquant";
 *
 * const options: AskOptions = { maxTokens: 16, stop: ["."], logprobs: 1 };
 * await using model = await open(
 *   "models/flickr-mini/flickr-mini.w4a8.safetensors",
 * );
 * const answer = await model.ask("What is this?", "models/flickr-mini/photos/cat.jpg", options);
 * if (answer.tokens.length > 16) throw new Error("too long");
 * ```
 */
export interface AskOptions extends SampleOptions, PictureOptions {
  /** Longest answer in tokens; default 256, less where the context ends. */
  maxTokens?: number;
  /** 0 (default) takes the likeliest token each time. */
  temperature?: number;
  /** Draw from the k likeliest tokens only. */
  topK?: number;
  /** Draw from the likeliest tokens that together reach this probability. */
  topP?: number;
  /** Seed of the draws. */
  seed?: number;
  /** At most 4 texts of at most 256 characters; the answer ends before the first that appears. */
  stop?: string[];
  /**
   * The answer is JSON that is valid for this schema, always: every token is
   * chosen among those that keep to it and leave enough of `maxTokens` to end.
   */
  schema?: JsonSchema;
  /** Tell how likely each token was, and so many alternatives, from 0 to 20. */
  logprobs?: number;
  /** Cancels the answer: it ends with finish "aborted" and the text so far. */
  signal?: AbortSignal;
  /** Told of each step. */
  onProgress?: (progress: Progress) => void;
}

const MAX_TOKENS = 256;
const MAX_TILES = 64;

/** A request that is ready for its turn. */
export interface Job {
  /** Token ids of the prompt, image tokens expanded. */
  readonly ids: readonly number[];
  /** Its images, in order. */
  readonly images: readonly Picture[];
  /** The same as tiles, where the prompt depends on how they are cut. */
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
 * Checks everything about a request that can be checked before its turn.
 * @throws {RuntimeError} "option" or "context"
 */
export async function prepare(
  assets: Assets,
  info: ModelInfo,
  context: number,
  messages: readonly Message[],
  options: AskOptions,
): Promise<Job> {
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
      `Cannot answer: the messages hold ${images.length} images, the model (${info.architecture}) reads text only; ask without, or open a model that sees`,
    );
  }
  const limits = { tiles: maxTiles, ...pixelLimits(assets, options) };
  // How a picture is cut decides what its prompt says, so it is cut first.
  const tiles =
    maxTiles > 1 && info.image?.tiles || info.image?.nativeResolution
      ? await cut(images, assets, info, limits)
      : undefined;
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
    progress: (stage, done, total) =>
      options.onProgress?.({ stage, done, total }),
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

/** The pixels a request asks for; families of one size take any. */
function pixelLimits(
  { image }: Assets,
  { maxPixels, minPixels }: AskOptions,
): PictureLimits {
  if (!image?.bounds) return {};
  const { most, unit } = image.bounds, least = unit ** 2;
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

async function cut(
  images: readonly Picture[],
  assets: Assets,
  info: ModelInfo,
  limits: PictureLimits,
): Promise<TowerTiles[]> {
  const all: TowerTiles[] = [];
  for (const picture of images) {
    all.push(
      await towerTiles(picture, assets.image!, imageInfoOf(info), limits),
    );
  }
  return all;
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
  const tokens = (i: number) => imageText(info, tiles?.[i] ?? whole(info), i);
  const image = { ...format.image, tokens };
  return chat(tokenizer, plain, { ...format, image }).ids;
}

/** The result of a request that was cancelled before its turn. */
export function neverBegun({ ids }: Job, queueMs: number): Result {
  const timings = {
    queueMs,
    imageMs: 0,
    visionMs: 0,
    prefillMs: 0,
    decodeMs: 0,
  };
  return {
    text: "",
    tokens: [],
    finish: "aborted",
    timings,
    promptTokens: ids.length,
    cachedTokens: 0,
  };
}

/** Runs a request on an engine that does nothing else meanwhile. */
export async function run(
  job: Job,
  model: StaticModel,
  assets: Assets,
  engine: Engine,
  seen: SeenImages | undefined,
  show: (piece: string) => void,
  signal: AbortSignal,
  queueMs: number,
): Promise<Result> {
  const { ids, images, progress, most } = job;
  const { tokenizer, stopIds, image } = assets;
  const choose = chooser(job.choice, assets);
  const timings = {
    queueMs,
    imageMs: 0,
    visionMs: 0,
    prefillMs: 0,
    decodeMs: 0,
  };
  const clock = stopwatch(timings);
  const text = stopScanner(job.stops), stream = tokenizer.decodeStream();
  const tokens: number[] = [];
  let cachedTokens = 0;
  let shown = "", finish: Finish = "length";
  const say = (piece: string) => {
    // models begin with the blank that follows "Assistant:"
    const text = shown === "" ? piece.trimStart() : piece;
    if (text === "") return;
    shown += text;
    show(text);
  };
  try {
    const rows: Float32Array[] = [], grids: Grid[] = [];
    for (const [i, picture] of images.entries()) {
      progress("image", i, images.length);
      signal.throwIfAborted();
      const seenAs = job.tiles?.[i] ??
        await towerTiles(picture, image!, imageInfoOf(model.info));
      clock("imageMs");
      progress("vision", i, images.length);
      for (const tile of seenAs.tiles) {
        const encode = () => engine.encode(tile, signal);
        rows.push(await (seen ? seen.rows(tile, encode) : encode()));
      }
      grids.push(...seenAs.grids);
      clock("visionMs");
    }
    progress("prefill", 0, ids.length);
    const all = joined(rows);
    if (!seen) engine.reset();
    cachedTokens = engine.rewind(ids, all, grids);
    const rest = all.subarray(engine.rowsOf(ids.slice(0, cachedTokens)));
    let id = choose.next(
      await engine.prefill(ids.slice(cachedTokens), rest, signal, grids),
      most,
    );
    clock("prefillMs");
    progress("prefill", ids.length, ids.length);
    while (true) {
      if (stopIds.has(id)) {
        finish = "stop";
        break;
      }
      tokens.push(id);
      choose.accept(id);
      say(text.push(stream.push(id)));
      progress("decode", tokens.length, most);
      if (text.stopped || choose.ended) {
        finish = "stop";
        break;
      }
      if (tokens.length === most) {
        if (choose.whole) finish = "stop";
        break;
      }
      const logits = await engine.decode(id, signal);
      id = choose.next(logits, most - tokens.length);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    finish = "aborted";
  }
  if (tokens.length > 0) clock("decodeMs");
  say(text.push(stream.end()) + text.end());
  return {
    text: shown,
    tokens,
    finish,
    timings,
    promptTokens: ids.length,
    cachedTokens,
    ...(job.choice.logprobs === undefined ? {} : { logprobs: choose.logprobs }),
  };
}

function joined(rows: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(rows.reduce((n, r) => n + r.length, 0));
  let at = 0;
  for (const r of rows) all.set(r, at), at += r.length;
  return all;
}

/** Adds the time since its last call to a part. */
function stopwatch<K extends string>(
  times: Record<K, number>,
): (part: K) => void {
  let last = performance.now();
  return (part) => {
    const now = performance.now();
    times[part] += now - last;
    last = now;
  };
}
