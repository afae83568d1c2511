/**
 * Captions of many photos by one model, for one question. Both are read once: a
 * caption is noted under their hashes, and the files may change meanwhile.
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

/** What captions photos. */
export interface Captioner extends AsyncDisposable {
  /** Where its captions come from. */
  readonly origin: Origin;
  /**
   * Captions the bytes of a photo, which are handed over; opens the model for the first one.
   * @param path what errors call it
   * @throws where it cannot be decoded, or the model not be opened
   */
  caption(bytes: Uint8Array<ArrayBuffer>, path: string): Promise<Result>;
}

/** The captioner that a command line asks for. */
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
