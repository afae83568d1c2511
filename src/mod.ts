/**
 * mquant: fully static quantized multimodal models on CPU.
 *
 * ```ts
 * import { open } from "@mquant/mquant";
 *
 * await using model = await open("models/flickr-mini/flickr-mini.w4a8.safetensors");
 * const photo = await Deno.readFile("models/flickr-mini/photos/cat.jpg");
 * for await (const text of model.caption(photo)) console.log(text);
 * ```
 * @module
 */
export { open, type OpenOptions } from "./runtime/open.ts";
export type {
  AskOptions,
  Message,
  PictureOptions,
  Progress,
} from "./runtime/ask.ts";
export type {
  CaptionOptions,
  Session,
  SessionInfo,
} from "./runtime/session.ts";
export type { Answer, Finish, Result, Timings } from "./runtime/answer.ts";
export type { Described, DescribedStep } from "./runtime/describe.ts";
export type { KernelTime, Profile } from "./runtime/profile.ts";
export type { MemoryPlan } from "./runtime/plan.ts";
export type { SampleOptions } from "./runtime/sample.ts";
export type { ImageInput, Picture } from "./runtime/picture.ts";
export type { JsonSchema } from "./runtime/constrain/json_schema.ts";
export type { Likelihood, TokenLogprob } from "./runtime/logprobs.ts";
export type { Build } from "./kernels/load.ts";
export type { ListName } from "./runtime/command.ts";
export { RuntimeError, type RuntimeErrorCode } from "./runtime/error.ts";
export { FormatError, type FormatErrorCode } from "./format/error.ts";
export { ImageError, type ImageErrorCode } from "./image/image.ts";
