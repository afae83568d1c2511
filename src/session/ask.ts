/**
 * Messages and options of a request.
 * @module
 */
import type { JsonSchema } from "../constrain/json_schema.ts";
import type { ImageInput } from "./picture.ts";
import type { SampleOptions } from "./sample.ts";

/**
 * One message of a conversation.
 *
 * ```ts
 * import { type Message } from "@mquant/mquant";
 *
 * const messages: Message[] = [
 *   { role: "system", content: "Answer in one word." },
 *   {
 *     role: "user",
 *     content: [
 *       { type: "image", image: "models/photo-mini/photos/cat.jpg" },
 *       { type: "text", text: "What is this?" },
 *     ],
 *   },
 * ];
 * console.log(messages.length);
 * ```
 */
export interface Message {
  /** Author of the message. */
  role: "user" | "assistant" | "system";
  /** Text, or text and images in order. */
  content:
    | string
    | ({ type: "text"; text: string } | { type: "image"; image: ImageInput })[];
}

/**
 * Progress of an answer.
 *
 * ```ts
 * import { type Progress } from "@mquant/mquant";
 *
 * const line = ({ stage, done, total }: Progress) => `${stage} ${done}/${total}`;
 * console.log(line({ stage: "decode", done: 3, total: 256 }));
 * ```
 */
export interface Progress {
  /** Current stage. */
  readonly stage: "image" | "vision" | "prefill" | "decode";
  /** Images or tokens done. */
  readonly done: number;
  /** Total of images or tokens; for `decode` an upper bound. */
  readonly total: number;
}

/**
 * Resolution of a picture.
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
   * Most tiles of one image, 1 (default) to 64. More tiles show smaller details and
   * take proportionally longer. Families without tiles ignore it.
   */
  maxTiles?: number;
  /**
   * Most pixels of one image, for families with native resolution: from the size of
   * one token to the limit the model was opened with (default).
   */
  maxPixels?: number;
  /** Fewest pixels of one image, for families with native resolution; smaller images are enlarged. Default: the model file's value. */
  minPixels?: number;
}

/**
 * Options of an answer.
 *
 * ```ts
 * import { type AskOptions, open } from "@mquant/mquant";
 *
 * const options: AskOptions = { maxTokens: 16, stop: ["."], logprobs: 1 };
 * await using model = await open(
 *   "models/photo-mini/photo-mini.w4a8.safetensors",
 * );
 * const answer = await model.ask("What is this?", "models/photo-mini/photos/cat.jpg", options);
 * if (answer.tokens.length > 16) throw new Error("too long");
 * ```
 */
export interface AskOptions extends SampleOptions, PictureOptions {
  /** Most tokens of the answer; default 256, fewer where the context ends. */
  maxTokens?: number;
  /** 0 (default) is greedy decoding. */
  temperature?: number;
  /** Sample from the k most likely tokens. */
  topK?: number;
  /** Sample from the most likely tokens whose probabilities sum to this. */
  topP?: number;
  /** Seed of sampling. */
  seed?: number;
  /** At most 4 texts of at most 256 characters; the answer ends before the first that appears. */
  stop?: string[];
  /**
   * The answer is always JSON that is valid for this schema. Tokens that would
   * violate it, or leave too few of `maxTokens` to finish, are excluded.
   */
  schema?: JsonSchema;
  /** Return log-probabilities of each token and of this many alternatives, 0 to 20. */
  logprobs?: number;
  /** Cancels the answer: it ends with finish "aborted" and the text so far. */
  signal?: AbortSignal;
  /** Called after each step. */
  onProgress?: (progress: Progress) => void;
}
