/**
 * Captions many photos with one model and one prompt. Model and prompt are
 * hashed once, because the files may change during the run.
 * @module
 */
import type { Result } from "../mod.ts";
import { modelHash, type Origin, sha256Of } from "./caption_journal.ts";
import {
  askOptions,
  type CaptionValues,
  lazily,
  openSession,
  questionOf,
} from "./caption_options.ts";
import { decoding } from "./decoding.ts";
import type { Io } from "./io.ts";
import { modelPath } from "./model_path.ts";

/** A captioner. */
export interface Captioner extends AsyncDisposable {
  /** Model and prompt of its captions. */
  readonly origin: Origin;
  /**
   * Captions the bytes of a photo (the buffer is transferred); opens the model
   * at the first call.
   * @param path names the photo in errors
   * @throws if the photo cannot be decoded or the model cannot be opened
   */
  caption(bytes: Uint8Array<ArrayBuffer>, path: string): Promise<Result>;
}

/** The captioner of a command line. */
export function captioner(values: CaptionValues, io: Io): Captioner {
  const question = questionOf(values), path = modelPath(values.model);
  const hash = modelHash(path), decoder = decoding();
  const opened = lazily(async () => {
    const session = await openSession(values, io.signal);
    if (modelHash(path) === hash) return session;
    await session[Symbol.asyncDispose]();
    throw new Error(
      `Cannot caption: the model ${
        JSON.stringify(path)
      } was replaced meanwhile; run the command again`,
    );
  });
  return {
    origin: { model: hash, ask: sha256Of(JSON.stringify(question)) },
    async caption(bytes, path) {
      const image = await decoder.decode(bytes, path, io.signal);
      const session = await opened.get();
      return await session.caption(image, askOptions(question, io.signal));
    },
    async [Symbol.asyncDispose]() {
      decoder[Symbol.dispose]();
      await opened[Symbol.asyncDispose]();
    },
  };
}
