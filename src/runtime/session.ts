/**
 * A model in conversation: messages with images in, text out. One answer at a
 * time; others wait in the order in which they began.
 * @module
 */
import type { Build } from "../kernels/load.ts";
import { chat, type ChatMessage } from "../tokenizer/chat.ts";
import { type Answer, answer, type Finish, type Result } from "./answer.ts";
import type { Assets } from "./assets.ts";
import { type Described, describePlan } from "./describe.ts";
import type { Engine } from "./engine.ts";
import { RuntimeError } from "./error.ts";
import { type ImageInput, towerPixels } from "./picture.ts";
import type { MemoryPlan } from "./plan.ts";
import { type Profile, profile } from "./profile.ts";
import { demand, type SampleOptions, sampler } from "./sample.ts";
import type { StaticModel } from "./static_model.ts";
import { stopScanner } from "./stop.ts";

/** One turn of a conversation. */
export interface Message {
  /** Who speaks. */
  role: "user" | "assistant" | "system";
  /** What is said: text, or text and images in order. */
  content:
    | string
    | ({ type: "text"; text: string } | { type: "image"; image: ImageInput })[];
}

/** How far an answer is. */
export interface Progress {
  /** What is being done. */
  readonly stage: "image" | "vision" | "prefill" | "decode";
  /** Images or tokens done. */
  readonly done: number;
  /** Images or tokens in all; for `decode` the most there can be. */
  readonly total: number;
}

/** How to answer. */
export interface AskOptions extends SampleOptions {
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
  /** Cancels the answer: it ends with finish "aborted" and the text so far. */
  signal?: AbortSignal;
  /** Told of each step. */
  onProgress?: (progress: Progress) => void;
}

/** How a caption is asked for. */
export interface CaptionOptions extends AskOptions {
  /** What to ask; default "Describe this image.". */
  prompt?: string;
}

/** What a session runs on. */
export interface SessionInfo {
  /** Architecture of the model, such as "smolvlm". */
  readonly architecture: string;
  /** Name of the quantization recipe, where the file records it. */
  readonly recipe: string;
  /** Most tokens of a conversation. */
  readonly context: number;
  /** Tokens one image takes. */
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

/** An open model. Dispose it to end its threads and free its memory. */
export interface Session extends AsyncDisposable {
  /** What it runs on. */
  readonly info: SessionInfo;
  /** Describes an image. */
  caption(image: ImageInput, options?: CaptionOptions): Answer;
  /** Answers the last message. */
  chat(messages: Message[], options?: AskOptions): Answer;
  /** The steps of its plan as tables of text, and as data. */
  describePlan(): Described;
  /** Runs `work` and returns the time spent in each kernel meanwhile. */
  profile(work: () => PromiseLike<unknown>): Promise<Profile>;
}

const PROMPT = "Describe this image.";
const MAX_TOKENS = 256;

/** A session over a loaded engine. */
export function session(
  model: StaticModel,
  assets: Assets,
  engine: Engine,
  info: SessionInfo,
): Session {
  return new EngineSession(model, assets, engine, info);
}

class EngineSession implements Session {
  readonly #model: StaticModel;
  readonly #assets: Assets;
  readonly #engine: Engine;
  readonly #closing = new AbortController();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(
    model: StaticModel,
    assets: Assets,
    engine: Engine,
    readonly info: SessionInfo,
  ) {
    this.#model = model;
    this.#assets = assets;
    this.#engine = engine;
  }

  caption(
    image: ImageInput,
    { prompt = PROMPT, ...options }: CaptionOptions = {},
  ): Answer {
    return this.chat([{
      role: "user",
      content: [{ type: "image", image }, { type: "text", text: prompt }],
    }], options);
  }

  chat(messages: Message[], options: AskOptions = {}): Answer {
    return answer((show, left) => {
      const signals = [left, this.#closing.signal, options.signal].filter((s) =>
        s !== undefined
      );
      const asked = performance.now();
      const signal = AbortSignal.any(signals);
      return this.#inTurn(
        () =>
          this.#answer(
            messages,
            options,
            show,
            signal,
            performance.now() - asked,
          ),
        signal,
      );
    });
  }

  describePlan(): Described {
    return describePlan(this.#engine.plan);
  }

  profile(work: () => PromiseLike<unknown>): Promise<Profile> {
    return profile(this.#engine, work);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#queue;
    await this.#engine[Symbol.asyncDispose]();
  }

  /** Runs `work` behind all that was asked for before. */
  #inTurn<T>(work: () => Promise<T>, _signal: AbortSignal): Promise<T> {
    if (this.#closing.signal.aborted) {
      return Promise.reject(
        new RuntimeError("closed", "Cannot answer: the session is closed"),
      );
    }
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  async #answer(
    messages: Message[],
    options: AskOptions,
    show: (piece: string) => void,
    signal: AbortSignal,
    queueMs: number,
  ): Promise<Result> {
    const { tokenizer, stopIds } = this.#assets, engine = this.#engine;
    const stops = checkedStops(options.stop ?? []);
    const pick = sampler(options);
    const wanted = options.maxTokens ?? MAX_TOKENS;
    demand(
      Number.isInteger(wanted) && wanted >= 1,
      "maxTokens",
      "a whole number from 1",
      wanted,
    );
    const { ids, images } = this.#prompt(messages);
    const room = engine.plan.context - ids.length;
    if (room < 1) {
      throw new RuntimeError(
        "context",
        `Cannot answer: the prompt must leave room in a context of ${engine.plan.context} tokens: it has ${ids.length}; shorten it or open the model with a larger context`,
      );
    }
    const most = Math.min(wanted, room);
    const timings = {
      queueMs,
      imageMs: 0,
      visionMs: 0,
      prefillMs: 0,
      decodeMs: 0,
    };
    const clock = stopwatch(timings);
    const progress = (stage: Progress["stage"], done: number, total: number) =>
      options.onProgress?.({ stage, done, total });
    const text = stopScanner(stops), stream = tokenizer.decodeStream();
    const tokens: number[] = [];
    let shown = "", finish: Finish = "length";
    const say = (piece: string) => {
      if (piece === "") return;
      shown += piece;
      show(piece);
    };
    try {
      const rows = await this.#look(images, progress, clock, signal);
      progress("prefill", 0, ids.length);
      engine.reset();
      let id = pick(await engine.prefill(ids, rows, signal));
      clock("prefillMs");
      progress("prefill", ids.length, ids.length);
      while (true) {
        if (stopIds.has(id)) {
          finish = "stop";
          break;
        }
        tokens.push(id);
        say(text.push(stream.push(id)));
        progress("decode", tokens.length, most);
        if (text.stopped) {
          finish = "stop";
          break;
        }
        if (tokens.length === most) break;
        id = pick(await engine.decode(id, signal));
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      finish = "aborted";
    }
    clock(tokens.length > 0 ? "decodeMs" : "prefillMs");
    say(text.push(stream.end()) + text.end());
    return { text: shown, tokens, finish, timings, promptTokens: ids.length };
  }

  /** Token ids of the prompt, image tokens expanded, and its images in order. */
  #prompt(messages: Message[]): { ids: number[]; images: ImageInput[] } {
    const images: ImageInput[] = [];
    const plain = messages.map(({ role, content }): ChatMessage => ({
      role,
      content: typeof content === "string"
        ? [{ type: "text", text: content }]
        : content.map((part) => {
          if (part.type === "text") return part;
          images.push(part.image);
          return { type: "image" };
        }),
    }));
    const { tokenizer, chat: format } = this.#assets;
    return { ids: chat(tokenizer, plain, format).ids, images };
  }

  /** Rows of all images, one behind the other. */
  async #look(
    images: ImageInput[],
    progress: (stage: "image" | "vision", done: number, total: number) => void,
    clock: (part: "imageMs" | "visionMs") => void,
    signal: AbortSignal,
  ): Promise<Float32Array> {
    const { info } = this.#model, all: Float32Array[] = [];
    for (const [i, image] of images.entries()) {
      signal.throwIfAborted();
      progress("image", i, images.length);
      const pixels = await towerPixels(image, this.#assets.image, info.image);
      clock("imageMs");
      progress("vision", i, images.length);
      all.push(await this.#engine.encode(pixels, signal));
      clock("visionMs");
    }
    if (images.length > 0) progress("vision", images.length, images.length);
    const rows = new Float32Array(all.reduce((n, r) => n + r.length, 0));
    let at = 0;
    for (const r of all) rows.set(r, at), at += r.length;
    return rows;
  }
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

function checkedStops(stop: readonly string[]): readonly string[] {
  demand(stop.length <= 4, "stop", "at most 4 texts", `${stop.length} texts`);
  for (const s of stop) {
    demand(
      typeof s === "string" && s !== "" && s.length <= 256,
      "each stop text",
      "of 1 to 256 characters",
      JSON.stringify(s).slice(0, 40),
    );
  }
  return stop;
}
