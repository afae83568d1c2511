/**
 * What is asked of a session, and how.
 * @module
 */
import type { JsonSchema } from "../constrain/json_schema.ts";
import type { ImageInput } from "./picture.ts";
import type { SampleOptions } from "./sample.ts";

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
