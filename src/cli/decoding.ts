/**
 * Decodes large photos in their own thread, so that Ctrl-C works and a slow
 * photo only delays itself. A thread cannot be stopped from outside (measured:
 * Deno 2.9 does not interrupt a busy worker); it continues and is reused when
 * it is done. Small photos are decoded directly, because starting the thread
 * takes 50 to 100 ms.
 * @module
 */
import { unpackError } from "../graph/thread_error.ts";
import { decode, pixelsOf } from "../image/decode.ts";
import { type Image, ImageError } from "../image/image.ts";
import { canShare } from "../platform/platform.ts";
import type { Decoded, ToDecode } from "./decode_worker.ts";

const WORKER = new URL("./decode_worker.ts", import.meta.url);

/**
 * Maximum pixels of a photo that is decoded directly: 0.1 s, or 2 s with the
 * maximum number of scans.
 */
const SMALL = 1 << 23;

/** Time limit per photo in milliseconds; the largest take 5 s on a slow machine. */
const DECODE_MS = 60_000;

/**
 * Maximum number of busy threads: one for the current photo, the others for
 * photos that were given up.
 */
const MOST_BUSY = 3;

/** Decodes photos, one at a time. */
export interface Decoding extends Disposable {
  /**
   * Decodes a photo; the buffer is transferred.
   * @param name names the photo in messages
   * @throws {ImageError} if it cannot be decoded, or not in time
   */
  decode(
    bytes: Uint8Array<ArrayBuffer>,
    name: string,
    signal: AbortSignal,
  ): Promise<Image>;
}

/** Options of `decoding`; tests use lower limits. */
export interface DecodingOptions {
  readonly worker?: URL;
  /** Time limit per photo, in milliseconds. */
  readonly ms?: number;
  /** Maximum pixels of a photo that is decoded directly. */
  readonly small?: number;
}

/** Creates a decoder; its thread starts with the first large photo. */
export function decoding(
  { worker = WORKER, ms = DECODE_MS, small = SMALL }: DecodingOptions = {},
): Decoding {
  const threads = new Set<Worker>();
  let idle: Worker | undefined, busy = 0;

  async function inThread(photo: ToDecode, signal: AbortSignal) {
    const thread = idle ??
      new Worker(worker, { type: "module", name: "decode" });
    threads.add(thread);
    idle = undefined;
    busy++;
    const { promise: givenUp, reject } = Promise.withResolvers<never>();
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
    const timer = setTimeout(() => reject(tooLong(photo.name, ms)), ms);
    const decoded = answerOf(thread, photo)
      .then((answer) => (idle ??= thread, answer))
      .finally(() => busy--);
    try {
      const answer = await Promise.race([decoded, givenUp]);
      if ("image" in answer) return answer.image;
      throw unpackError(answer.error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }

  return {
    async decode(bytes, name, signal) {
      signal.throwIfAborted();
      if (pixelsOf(bytes) <= small || !canShare(worker)) {
        return await decode(bytes, { name });
      }
      if (busy < MOST_BUSY) return await inThread({ bytes, name }, signal);
      throw new ImageError(
        "too_large",
        `${busy} large photos before it are still being decoded; leave those out`,
        name,
      );
    },
    [Symbol.dispose]() {
      for (const thread of threads) thread.terminate();
    },
  };
}

/** The result of a thread; rejects if the thread itself fails. */
function answerOf(thread: Worker, photo: ToDecode): Promise<Decoded> {
  return new Promise((resolve, reject) => {
    thread.onmessage = ({ data }: MessageEvent<Decoded>) => resolve(data);
    thread.onerror = (event) => {
      event.preventDefault();
      const problem = `its thread ended: ${event.message}; copy it again`;
      reject(new ImageError("damaged", problem, photo.name));
    };
    thread.postMessage(photo, [photo.bytes.buffer]);
  });
}

function tooLong(name: string, ms: number): ImageError {
  const problem = `it takes more than ${ms / 1000} s; save it smaller`;
  return new ImageError("too_large", problem, name);
}
