/**
 * `quantize()`: quantizes a checkpoint in its own thread. This module does not
 * load the quantizer; its worker does.
 * @module
 */
import { fromFileUrl } from "@std/path";
import { unpackError } from "../graph/thread_error.ts";
import { QuantizeError } from "./error.ts";
import type {
  FromWorker,
  QuantizeOptions,
  QuantizeProgress,
  QuantizeResult,
  ToWorker,
} from "./options.ts";

const WORKER = new URL("./worker.ts", import.meta.url);

/**
 * Quantizes a checkpoint: a folder with config.json, model.safetensors (or
 * shards and their index), a tokenizer (tokenizer.json, vocab.json and
 * merges.txt, or tokenizer.model), a chat template and, where the model takes
 * pictures, preprocessor_config.json. The same inputs give the same
 * bytes. Every scale is fixed here; nothing at inference computes one.
 *
 * The work runs in a thread of its own: the caller's event loop stays free.
 * Finished parts are kept in `out`.part; after a crash or an abort, the same
 * call goes on from there. The finished file is read back and verified.
 *
 * Needs `--allow-read` of this package, the checkpoint and the calibration
 * data, and `--allow-read --allow-write` of the folder of `out`.
 *
 * ```ts
 * import { quantize } from "@mquant/mquant/quantize";
 * import { open } from "@mquant/mquant";
 *
 * const out = `${await Deno.makeTempDir()}/toy.w4a8.safetensors`;
 * const { bytes, sha256 } = await quantize("tests/golden/smolvlm-toy", {
 *   calibration: "models/photo-mini/photos",
 *   samples: 2,
 *   out,
 *   onProgress: ({ stage, done, total }) =>
 *     console.log(`${stage} ${done}/${total}`),
 * });
 * console.log(bytes, sha256);
 * await using model = await open(out);
 * console.log(model.info.recipe); // w4a8
 * ```
 * @throws {QuantizeError} where an option or an input cannot be used
 * @throws {FormatError} where a file of the checkpoint is damaged
 * @throws {ImageError} where a photo cannot be decoded
 * @throws the reason of `signal` where that stops it
 */
export async function quantize(
  checkpoint: string | URL,
  options: QuantizeOptions,
): Promise<QuantizeResult> {
  const { signal, onProgress, ...order } = options;
  signal?.throwIfAborted();
  const stop = new Int32Array(new SharedArrayBuffer(4));
  let thrown: { error: unknown } | undefined;
  const report = (progress: QuantizeProgress) => {
    if (thrown) return;
    try {
      onProgress?.(progress);
    } catch (error) {
      thrown = { error };
      Atomics.store(stop, 0, 1);
    }
  };
  const abort = () => Atomics.store(stop, 0, 1);
  const worker = new Worker(WORKER, { type: "module", name: "quantize" });
  signal?.addEventListener("abort", abort);
  try {
    const start: ToWorker = {
      order: { ...order, checkpoint: pathOf(checkpoint) },
      stop,
    };
    worker.postMessage(start);
    return await ended(worker, report);
  } catch (error) {
    if (thrown) throw thrown.error;
    if ((error as Error).name === "AbortError") signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
    worker.terminate();
  }
}

const pathOf = (path: string | URL) =>
  path instanceof URL ? fromFileUrl(path) : path;

/** Resolves with the worker's result, or rejects with its error. */
function ended(
  worker: Worker,
  report: (progress: QuantizeProgress) => void,
): Promise<QuantizeResult> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if ("progress" in data) report(data.progress);
      else if ("result" in data) resolve(data.result);
      else reject(unpackError(data.error, { QuantizeError }));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`Cannot quantize: its thread ended: ${event.message}`));
    };
  });
}
