/**
 * mquant: fully static quantized multimodal models on CPU.
 *
 * ```ts
 * import { open } from "@mquant/mquant";
 *
 * await using model = await open("models/photo-mini/photo-mini.w4a8.safetensors");
 * const photo = await Deno.readFile("models/photo-mini/photos/cat.jpg");
 * for await (const text of model.caption(photo)) console.log(text);
 * ```
 * @module
 */
export { open, type OpenOptions } from "./session/open.ts";
export type {
  AskOptions,
  Message,
  PictureOptions,
  Progress,
} from "./session/ask.ts";
export type {
  CaptionOptions,
  Session,
  SessionInfo,
} from "./session/session.ts";
export type { Answer, Finish, Result, Timings } from "./session/answer.ts";
export type { Described, DescribedStep } from "./plan/describe.ts";
export type { KernelTime, Profile } from "./execute/profile.ts";
export type { MemoryPlan } from "./plan/plan.ts";
export type { SampleOptions } from "./session/sample.ts";
export type { ImageInput, Picture } from "./session/picture.ts";
export type { JsonSchema } from "./constrain/json_schema.ts";
export type { Likelihood, TokenLogprob } from "./session/logprobs.ts";
export type { Build } from "./kernels/load.ts";
export type { ListName } from "./plan/lists.ts";
export { RuntimeError, type RuntimeErrorCode } from "./graph/error.ts";
export { FormatError, type FormatErrorCode } from "./format/error.ts";
export { ImageError, type ImageErrorCode } from "./image/image.ts";
