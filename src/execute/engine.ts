/**
 * A loaded model: it computes image rows from pixels and logits from token ids.
 * Prompts and text are handled by the session, kernels by the thread pool.
 * @module
 */
import { type Grid, mergeOf, tokensIn } from "../graph/grid.ts";
import { imageInfoOf, type ModelInfo } from "../graph/info.ts";
import { index, widthOf } from "../graph/node.ts";
import { chunkEnd, maskEnds } from "../graph/attention_mask.ts";
import type { Image } from "../image/image.ts";
import {
  bestBuild,
  type Build,
  kernelMemory,
  kernelModule,
  loadKernels,
} from "../kernels/load.ts";
import { Conversation } from "./conversation.ts";
import { RuntimeError } from "../graph/error.ts";
import { checkedGrid, GridWriter } from "../plan/grids.ts";
import { load } from "./load.ts";
import { chunkOrder } from "./order.ts";
import { PositionTableWriter } from "../plan/position_tables.ts";
import { checkMemory, type EngineOptions, planFor } from "./options.ts";
import type { PixelScale } from "./pixels.ts";
import type { Plan } from "../plan/plan.ts";
import { Pool } from "./pool.ts";
import { checkPrompt, type PromptLimits } from "./prompt.ts";
import type { ListName } from "../plan/lists.ts";
import type { StaticModel } from "../graph/static_model.ts";
import { setChunk, setImage } from "../plan/registers.ts";
import type { Step } from "../plan/step.ts";
import { reorderPatches, setWindows, tokenIndex } from "../plan/windows.ts";
import { windowsOf } from "../graph/windows.ts";

/** A model in memory. It runs one call at a time. */
export class Engine implements AsyncDisposable {
  readonly #buffer: ArrayBufferLike;
  readonly #pool: Pool;
  readonly #registers: Int32Array;
  readonly #info: ModelInfo;
  /** Width of an image row. */
  readonly #width: number;
  readonly #cached: Conversation;
  readonly #prefix: readonly number[];
  #busy = false;
  #broken = false;
  readonly #places: PositionTableWriter;
  readonly #grids: GridWriter;

  private constructor(
    model: StaticModel,
    /** The plan: steps, addresses, memory. */
    readonly plan: Plan,
    /** Instruction set of the kernels. */
    readonly build: Build,
    buffer: ArrayBufferLike,
    pool: Pool,
  ) {
    const { info } = model;
    this.#buffer = buffer;
    this.#pool = pool;
    this.#info = info;
    this.#registers = new Int32Array(plan.registers);
    this.#places = new PositionTableWriter(
      plan.inputs.positionTables,
      info,
      buffer,
    );
    this.#grids = new GridWriter(plan.inputs.grids, buffer);
    this.#width = plan.vision ? imageWidth(model) : 0;
    this.#cached = new Conversation(info.image, this.#width);
    // The keys and values of the prefix are loaded with the model and stay cached.
    this.#prefix = info.prefix ?? [];
    this.#cached.add(this.#prefix);
    const order = new Int32Array(buffer, plan.inputs.order);
    this.#prefix.forEach((_, i) => order[i] = i);
    this.#places.write({ ids: [], grids: [] }, this.#prefix);
  }

  /** Plans, loads and starts a model. The file may be closed afterwards. */
  static async create(
    model: StaticModel,
    pixels: PixelScale | undefined,
    options: EngineOptions = {},
  ): Promise<Engine> {
    const planned = planFor(model, pixels, options);
    checkMemory(planned, options.maxMemory);
    const build = options.build ?? bestBuild(), shared = planned.threads > 1;
    const memories = planned.memories.map(({ bytes }) => {
      const pages = bytes / 65536;
      return kernelMemory(pages, shared, pages);
    });
    const module = kernelModule(build, shared);
    const views = memories.map((memory) => ({
      buffer: memory.buffer,
      kernels: options.kernels?.(memory.buffer) ??
        loadKernels({ memory, module, shared }),
    }));
    const { threading } = options;
    const starting = Pool.start(planned, memories, module, views, threading); // while weights are packed
    try {
      await Promise.all([
        load(model, planned, views, options.signal),
        starting,
      ]);
    } catch (error) {
      const [pool] = await Promise.allSettled([starting]);
      if (pool.status === "fulfilled") await pool.value[Symbol.asyncDispose]();
      throw error;
    }
    const pool = await starting;
    return new Engine(model, planned, build, views[0].buffer, pool);
  }

  /** Whether a kernel failed. Memory is then invalid: load the model again. */
  get broken(): boolean {
    return this.#broken;
  }

  /** Cached tokens, prefix tokens included. */
  get length(): number {
    return this.#cached.ids.length;
  }

  /** Largest number of tokens of a conversation, without prefix tokens. */
  get context(): number {
    return this.plan.context - this.#prefix.length;
  }

  /** Threads, the calling one included. */
  get threads(): number {
    return this.#pool.threads;
  }

  /** Number of float elements of the image rows of the image tokens among `ids`. */
  rowsOf(ids: readonly number[]): number {
    const { image } = this.#info;
    return ids.filter((id) => id === image?.tokenId).length * this.#width;
  }

  /** Callback with the time of each step on the main thread, in ms. */
  set measure(f: ((step: Step, ms: number) => void) | undefined) {
    this.#pool.measure = f;
  }

  /** Clears the KV cache, except prefix tokens. */
  reset(): void {
    this.#cached.truncate(this.#prefix.length);
  }

  /**
   * Truncates the KV cache to the common prefix with a new prompt, so that only the
   * rest of it must run. The logits are equal, bit for bit, to those without a cache.
   * @param ids the whole prompt
   * @param images rows of all its images, concatenated
   * @param grids of its images; default: the model's image size
   * @returns tokens kept; always fewer than the prompt has
   */
  rewind(
    ids: ArrayLike<number>,
    images: Float32Array,
    grids: readonly Grid[] = [],
  ): number {
    const { order } = this.plan.inputs;
    const keep = this.#cached.commonPrefix(
      [...this.#prefix, ...Array.from(ids)],
      images,
      grids,
      new Int32Array(this.#buffer, order, this.length),
    );
    this.#cached.truncate(keep);
    return keep - this.#prefix.length;
  }

  /**
   * Runs the vision phase.
   * @param picture of the model's image size, or with native resolution of whole tokens
   * @returns image rows for the text phase, [tokens, width]
   * @throws {RuntimeError} "image" where the model is text-only or the size is not allowed
   */
  async encode(picture: Image, signal?: AbortSignal): Promise<Float32Array> {
    const { plan } = this, width = this.#width;
    if (!plan.vision || plan.inputs.pixels === undefined) {
      throw new RuntimeError(
        "image",
        "Cannot read an image: the model has no vision tower; use a vision-language model",
      );
    }
    const image = imageInfoOf(this.#info);
    const grid = checkedGrid(image, picture, plan.patches);
    return await this.#alone(async () => {
      const merge = mergeOf(image), { windows } = plan;
      const cut = windows && windowsOf(grid, windows.side, merge);
      const pixels = cut
        ? reorderPatches(picture, image.patchSize, cut.order)
        : picture.data;
      new Uint8Array(this.#buffer).set(pixels, plan.inputs.pixels);
      this.#grids.write(grid, cut?.order);
      const rows = tokensIn(image, grid);
      setImage(this.#registers, grid, rows);
      if (cut) setWindows(this.#registers, cut, windows);
      await this.#run("vision", plan.vision!.steps.length, signal);
      const { at, stride } = plan.vision!.result;
      const all = new Float32Array(this.#buffer, at, rows * stride);
      const out = new Float32Array(rows * width);
      for (let r = 0; r < rows; r++) {
        const to = cut ? tokenIndex(cut.order[r * merge ** 2], grid, merge) : r;
        out.set(all.subarray(r * stride, r * stride + width), to * width);
      }
      return out;
    });
  }

  /**
   * Runs tokens after those in the cache.
   * @param ids tokens; each image token uses the next row of `images`
   * @param images rows of all images, concatenated, [image tokens, width]
   * @param grids of all images of the conversation, cached ones included; default: the model's image size
   * @returns logits of the last token, [vocabulary]
   * @throws {RuntimeError} "prompt" or "context"; after an abort or an error the tokens are not cached
   */
  async prefill(
    ids: ArrayLike<number>,
    images: Float32Array = new Float32Array(0),
    signal?: AbortSignal,
    grids: readonly Grid[] = [],
  ): Promise<Float32Array> {
    checkPrompt(this.#limits, ids, images.length);
    if (grids.length > 0) this.#cached.grids = grids;
    return await this.#alone(async () => {
      const start = this.length;
      let row = 0;
      try {
        for (let from = 0; from < ids.length;) {
          const { image } = this.#info;
          const to = chunkEnd(ids, from, this.plan.chunk, image);
          const chunk = Array.prototype.slice.call(ids, from, to);
          const end = to === ids.length;
          row += await this.#chunk(chunk, images, row, end, signal);
          from = to;
        }
      } catch (error) {
        this.#cached.truncate(start);
        throw error;
      }
      this.#cached.addRows(images);
      return this.#logits("prefill");
    });
  }

  /** Runs one text token; returns the logits of the next one, [vocabulary]. */
  async decode(id: number, signal?: AbortSignal): Promise<Float32Array> {
    checkPrompt(this.#limits, [id], 0);
    return await this.#alone(async () => {
      // Not `>> 2`: addresses above 2 GiB would be negative.
      const { inputs } = this.plan, ints = new Int32Array(this.#buffer);
      ints[inputs.ids / 4] = id;
      ints[inputs.order / 4 + this.length] = this.length;
      this.#places.write(this.#cached, [id]);
      const slot = this.length;
      setChunk(this.#registers, { imageRows: 0, textRows: 1, slot, last: 0 });
      await this.#run("decode", this.plan.decode.steps.length, signal);
      this.#cached.add([id]);
      return this.#logits("decode");
    });
  }

  /** A copy of all constants, scales included. They never change while a model runs. */
  constants(): Uint8Array {
    const { at, bytes } = this.plan.constants;
    return new Uint8Array(this.#buffer, at, bytes).slice();
  }

  /** Memory 0, for tests that read quantized values. */
  get memory(): ArrayBufferLike {
    return this.#buffer;
  }

  /** Ends the threads. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  /** Runs one chunk, image rows first; returns the number of its image rows. */
  async #chunk(
    ids: readonly number[],
    images: Float32Array,
    row: number,
    end: boolean,
    signal?: AbortSignal,
  ): Promise<number> {
    const { inputs, prefill } = this.plan, ints = new Int32Array(this.#buffer);
    const { original, imageRows, last } = chunkOrder(
      ids,
      this.#info.image?.tokenId,
    );
    original.forEach((from, i) => {
      ints[inputs.order / 4 + this.length + i] = this.length + from;
      if (i >= imageRows) ints[inputs.ids / 4 + i - imageRows] = ids[from];
    });
    if (inputs.maskEnd !== undefined) {
      const maskEnd = maskEnds(ids, this.#info.image), at = inputs.maskEnd / 4;
      original.forEach((from, i) => {
        ints[at + this.length + i] = this.length + maskEnd[from];
      });
    }
    if (inputs.images && imageRows > 0) {
      const { at, stride } = inputs.images, width = this.#width;
      const floats = new Float32Array(this.#buffer);
      for (let r = 0; r < imageRows; r++) {
        const from = (row + r) * width;
        floats.set(images.subarray(from, from + width), at / 4 + r * stride);
      }
    }
    this.#places.write(this.#cached, ids);
    setChunk(this.#registers, {
      imageRows,
      textRows: ids.length - imageRows,
      slot: this.length,
      last,
    });
    await this.#run(
      "prefill",
      end ? prefill.steps.length : prefill.tail,
      signal,
    );
    this.#cached.add(ids);
    return imageRows;
  }

  async #run(
    name: ListName,
    to: number,
    signal?: AbortSignal,
  ): Promise<void> {
    try {
      await this.#pool.run(name, to, this.#registers, signal);
    } catch (error) {
      this.#broken ||= !(signal?.aborted && error === signal.reason);
      throw error;
    }
  }

  #logits(name: "prefill" | "decode"): Float32Array {
    const { at } = this.plan[name].result;
    return new Float32Array(this.#buffer, at, this.#info.vocabulary).slice();
  }

  /** Limits of the next tokens. */
  get #limits(): PromptLimits {
    const { vocabulary, image } = this.#info;
    return {
      cached: this.length,
      context: this.plan.context,
      vocabulary,
      imageToken: image?.tokenId,
      width: this.#width,
    };
  }

  /** Runs `work`; throws where another call is running, because calls share memory. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy) {
      throw new RuntimeError(
        "option",
        "Cannot run the model: it is running already; wait for the first call",
      );
    }
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
    }
  }
}

/** Width of an image row: that of the vision value which the text phase adds to its stream. */
function imageWidth({ nodes }: StaticModel): number {
  const bridge = nodes.find((n) =>
    n.op === "residual_add" && n.phase === "text" && n.modality === "vision"
  );
  if (bridge?.op !== "residual_add") return 0;
  const byId = index(nodes);
  return widthOf(byId(bridge.x), byId) ?? 0;
}
