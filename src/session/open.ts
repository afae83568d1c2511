/**
 * Opens a model file as a session.
 * @module
 */
import { openModelFile } from "../format/model_file.ts";
import { type ByteSource, bytesSource, fileSource } from "../format/source.ts";
import { verify } from "../format/verify.ts";
import type { Build } from "../kernels/load.ts";
import type { PictureOptions } from "./ask.ts";
import { type Assets, readAssets } from "./assets.ts";
import { Engine } from "../execute/engine.ts";
import { RuntimeError } from "../graph/error.ts";
import { type Session, session } from "./session.ts";
import { readStaticModel } from "../graph/static_model.ts";

/**
 * Options for opening a model.
 *
 * ```ts
 * import { open, type OpenOptions } from "@mquant/mquant";
 *
 * const options: OpenOptions = { threads: 1, context: 512, remember: true };
 * await using model = await open(
 *   "models/photo-mini/photo-mini.w4a8.safetensors",
 *   options,
 * );
 * if (model.info.context !== 512) throw new Error("context");
 * ```
 */
export interface OpenOptions extends PictureOptions {
  /** Number of threads; default min(navigator.hardwareConcurrency, 4), 1 where workers cannot start. */
  threads?: number;
  /** Context length in tokens; default 2048, at most the model's. */
  context?: number;
  /** Default of `maxTiles` for requests; 1. */
  maxTiles?: number;
  /**
   * Most pixels of an image, for families with native resolution; memory is planned
   * for it. Default: the model file's value, at most 448 × 448.
   */
  maxPixels?: number;
  /** Default of `minPixels` for requests. */
  minPixels?: number;
  /** Build of the kernels; default the fastest that this machine supports. Both give the same bits. */
  build?: "simd" | "relaxed";
  /**
   * Cache encoded images and the KV cache of the last conversation, so that a
   * follow-up question computes only what is new. Answers do not change, but their
   * time reveals what was asked before. Default false.
   */
  remember?: boolean;
  /** Memory limit in bytes; a model that needs more is refused before it is loaded. */
  maxMemory?: number;
  /** Verify the checksums of header and tensors, about 1 ms per 1.4 MB; default true. */
  verify?: boolean;
  /** Cancels loading. */
  signal?: AbortSignal;
}

/**
 * Opens a model file: its path, a `file:` URL, or its bytes.
 *
 * Needs `--allow-read` for the file. Threads also need read permission for this
 * package; without it, one thread is used.
 *
 * ```ts
 * import { open } from "@mquant/mquant";
 *
 * await using model = await open(
 *   "models/photo-mini/photo-mini.w4a8.safetensors",
 * );
 * const { text } = await model.caption("models/photo-mini/photos/cat.jpg");
 * console.log(text);
 * ```
 * @throws {FormatError} where the file is not a model, {RuntimeError} where it cannot run
 */
export async function open(
  model: string | URL | Uint8Array,
  options: OpenOptions = {},
): Promise<Session> {
  const begin = performance.now();
  options.signal?.throwIfAborted();
  const source = sourceOf(model);
  using file = openModelFile(source);
  if (options.verify ?? true) await verify(source, file.whole, options.signal);
  const checked = readStaticModel(file);
  const assets = readAssets(file, checked.info, options.maxPixels);
  const engine = await Engine.create(checked, assets.image, options);
  const reload = reloaderOf(
    model,
    options,
    file.metadata.get("sha256"),
    assets,
  );
  return session(checked, assets, engine, reload, options, {
    architecture: checked.info.architecture,
    recipe: recipeName(file.metadata.get("recipe")),
    context: engine.context,
    imageTokens: checked.info.image?.tokens ?? 0,
    memory: engine.plan.memory,
    threads: engine.threads,
    build: engine.build as Build,
    loadMs: performance.now() - begin,
  });
}

function sourceOf(model: string | URL | Uint8Array): ByteSource {
  return model instanceof Uint8Array ? bytesSource(model) : fileSource(model);
}

/** Loads the same model again, after a kernel failed. */
function reloaderOf(
  model: string | URL | Uint8Array,
  { signal: _, ...options }: OpenOptions,
  hashes: string | undefined,
  assets: Assets,
): () => Promise<Engine> {
  // A weak reference: the bytes are as large as the model.
  const held = model instanceof Uint8Array ? new WeakRef(model) : undefined;
  const path = model instanceof Uint8Array ? undefined : model;
  const failed = (why: string) =>
    new RuntimeError(
      "worker",
      `Cannot load the model again after a kernel failed: ${why}; open it again`,
    );
  return async () => {
    const from = path ?? held?.deref();
    if (from === undefined) throw failed("its bytes are no longer there");
    const source = sourceOf(from);
    using file = openModelFile(source);
    if (file.metadata.get("sha256") !== hashes) {
      throw failed("its file is another one now");
    }
    if (options.verify ?? true) await verify(source, file.whole);
    return await Engine.create(readStaticModel(file), assets.image, options);
  };
}

function recipeName(json: string | undefined): string {
  try {
    return String(JSON.parse(json ?? "{}").name ?? "unknown");
  } catch {
    return "unknown";
  }
}
