/**
 * A model in conversation: messages with images in, text out. One answer at a
 * time; others wait in the order in which they were begun.
 * @module
 */
import type { Build } from "../kernels/load.ts";
import { type Answer, answer } from "./answer.ts";
import type { AskOptions, Message, PictureOptions } from "./ask.ts";
import type { Assets } from "./assets.ts";
import { type Described, describePlan } from "../plan/describe.ts";
import type { Engine } from "../execute/engine.ts";
import { RuntimeError } from "../graph/error.ts";
import type { ImageInput } from "./picture.ts";
import type { MemoryPlan } from "../plan/plan.ts";
import { type Profile, profile } from "../execute/profile.ts";
import { examine, prepare } from "./prepare.ts";
import { cancelledResult, run } from "./run.ts";
import { imageCache } from "./image_cache.ts";
import type { StaticModel } from "../graph/static_model.ts";
import { workQueue } from "./work_queue.ts";

/**
 * Options of a caption.
 *
 * ```ts
 * import { type CaptionOptions } from "@mquant/mquant";
 *
 * const options: CaptionOptions = { prompt: "Describe this image.", maxTokens: 40 };
 * console.log(options);
 * ```
 */
export interface CaptionOptions extends AskOptions {
  /** The question; default "Describe this image.". */
  prompt?: string;
}

/**
 * Facts about a session: model, recipe, limits, threads.
 *
 * ```ts
 * import { open, type SessionInfo } from "@mquant/mquant";
 *
 * await using model = await open(
 *   "models/photo-mini/photo-mini.w4a8.safetensors",
 * );
 * const { threads, build, imageTokens }: SessionInfo = model.info;
 * console.log(threads, build, imageTokens);
 * ```
 */
export interface SessionInfo {
  /** Architecture of the model, such as "smolvlm". */
  readonly architecture: string;
  /** Name of the quantization recipe, where the file records it. */
  readonly recipe: string;
  /** Most tokens of a conversation. */
  readonly context: number;
  /** Tokens one image takes; 0 where the model reads text only. */
  readonly imageTokens: number;
  /** Bytes of memory, by use. */
  readonly memory: MemoryPlan;
  /** Threads at work, the calling one included. */
  readonly threads: number;
  /** Instruction set of the kernels. */
  readonly build: Build;
  /** Time from open to ready. */
  readonly loadMs: number;
}

/**
 * An open model. Dispose it to end its threads and free its memory.
 *
 * ```ts
 * import { open, type Session } from "@mquant/mquant";
 *
 * async function describe(session: Session, photo: string) {
 *   return (await session.caption(photo, { maxTokens: 8 })).text;
 * }
 * await using model = await open(
 *   "models/photo-mini/photo-mini.w4a8.safetensors",
 * );
 * console.log(await describe(model, "models/photo-mini/photos/cat.jpg"));
 * ```
 */
export interface Session extends AsyncDisposable {
  /** What it runs on. */
  readonly info: SessionInfo;
  /** Describes an image. */
  caption(image: ImageInput, options?: CaptionOptions): Answer;
  /** Answers a question, about images if there are any. */
  ask(
    question: string,
    images?: ImageInput | readonly ImageInput[],
    options?: AskOptions,
  ): Answer;
  /** Answers the last message. */
  chat(messages: Message[], options?: AskOptions): Answer;
  /** The steps of its plan as tables of text, and as data. */
  describePlan(): Described;
  /** Runs `work` and returns the time spent in each kernel meanwhile. */
  profile(work: () => PromiseLike<unknown>): Promise<Profile>;
}

const PROMPT = "Describe this image.";

// long because its methods share one engine and one queue
/**
 * A session over a loaded engine, which it owns.
 * @param reload loads the model again after a kernel failed
 */
export function session(
  model: StaticModel,
  assets: Assets,
  loaded: Engine,
  reload: () => Promise<Engine>,
  opened: PictureOptions & { readonly remember?: boolean },
  info: SessionInfo,
): Session {
  const closing = new AbortController();
  const cache = opened.remember ? imageCache() : undefined;
  const { maxTiles, minPixels } = opened; // maxPixels is in the assets
  const pictures: PictureOptions = {
    ...(maxTiles === undefined ? {} : { maxTiles }),
    ...(minPixels === undefined ? {} : { minPixels }),
  };
  const { enqueue, empty } = workQueue();
  let engine = loaded;

  /** The engine; a new one, with the same bits, where a kernel failed. */
  async function workingEngine(): Promise<Engine> {
    if (!engine.broken) return engine;
    await engine[Symbol.asyncDispose]();
    return engine = await reload();
  }

  function chat(messages: Message[], options: AskOptions = {}): Answer {
    return answer(async (show, left) => {
      const signals = [left, closing.signal];
      if (options.signal) signals.push(options.signal);
      const signal = AbortSignal.any(signals);
      if (closing.signal.aborted) {
        throw new RuntimeError(
          "closed",
          "Cannot answer: the session is closed",
        );
      }
      const examined = await examine(
        assets,
        model.info,
        messages,
        { ...pictures, ...options },
      );
      const ready = (signal?: AbortSignal) =>
        prepare(examined, assets, model.info, info.context, signal);
      // Errors are thrown before the job is queued, unless an image must be decoded to find them.
      const early = examined.cutFirst ? undefined : await ready();
      const asked = performance.now();
      const waited = () => performance.now() - asked;
      const none = () => cancelledResult(early?.ids.length ?? 0, waited());
      return await enqueue(
        async () => {
          const queueMs = waited();
          const job = early ?? await ready(signal).catch((error) => {
            if (!signal.aborted) throw error;
          });
          if (!job) return none();
          return await run(
            job,
            model,
            assets,
            await workingEngine(),
            cache,
            show,
            signal,
            queueMs,
          );
        },
        none,
        signal,
      );
    });
  }

  function ask(
    question: string,
    images: ImageInput | readonly ImageInput[] = [],
    options: AskOptions = {},
  ): Answer {
    const all: readonly ImageInput[] = Array.isArray(images)
      ? images
      : [images as ImageInput];
    const content: Message["content"] = [
      ...all.map((image) => ({ type: "image" as const, image })),
      { type: "text", text: question },
    ];
    return chat([{ role: "user", content }], options);
  }

  return {
    info,
    ask,
    chat,
    caption: (image, { prompt = PROMPT, ...options } = {}) =>
      ask(prompt, image, options),
    describePlan: () => describePlan(engine.plan),
    profile: (work) => profile(engine, work),
    async [Symbol.asyncDispose]() {
      closing.abort();
      await empty();
      await engine[Symbol.asyncDispose]();
    },
  };
}
