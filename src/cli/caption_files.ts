/**
 * Writes captions into files: a journal of all captions, and sidecars beside
 * the photos. A killed run resumes and repeats nothing.
 * @module
 */
import { createHash } from "node:crypto";
import type { Result } from "../mod.ts";
import type { CaptionJournal, Entry } from "./caption_journal.ts";
import { EXIT, sentence } from "./errors.ts";
import { sweep } from "../format/atomic_write.ts";
import { field, type Io, PipeClosed, printable } from "./io.ts";
import { readPhotoBytes } from "./photo.ts";
import { duration, progress } from "./progress.ts";
import {
  clashError,
  clashes,
  type Kind,
  sidecarPath,
  standing,
  writeSidecar,
} from "./sidecar.ts";

/** Options of `captionFiles`. */
export interface CaptionFilesOptions {
  /** Sidecars to write. */
  readonly kinds: readonly Kind[];
  /** Name sidecars after the whole file name of the photo. */
  readonly fullNames: boolean;
  /** Replace sidecars that a person wrote or edited. */
  readonly overwrite: boolean;
  /** The journal. */
  readonly journal: CaptionJournal;
  /** Print JSON. */
  readonly json: boolean;
  /**
   * Captions the bytes of a photo (the buffer is transferred); `path` names it
   * in errors.
   */
  readonly caption: (
    bytes: Uint8Array<ArrayBuffer>,
    path: string,
  ) => PromiseLike<Result>;
  /** Output. */
  readonly io: Io;
}

/** Counts of a run. */
export interface Tally {
  /** Captioned by the model. */
  made: number;
  /** Captioned before under another name, or without sidecar. */
  reused: number;
  /** Up to date already. */
  kept: number;
  /** Not readable, or the sidecar could not be written. */
  failed: number;
}

/** The bytes of a photo, read while the previous photo is captioned. */
interface Read {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly sha256: string;
}

/**
 * Captions `photos`; returns the counts.
 * @param alone photos that get no sidecar because another photo would share its
 * name; if absent, such photos are all refused
 * @throws if the journal cannot be written
 */
export async function captionFiles(
  photos: readonly string[],
  keeping: CaptionFilesOptions,
  alone?: ReadonlyMap<string, string>,
): Promise<Tally> {
  const { io, kinds, fullNames } = keeping;
  const tally: Tally = { made: 0, reused: 0, kept: 0, failed: 0 };
  if (!alone && kinds.length > 0) {
    for (const [b, a] of clashes(photos, fullNames)) throw clashError(a, b);
  }
  sweep(
    photos.flatMap((photo) =>
      kinds.map((kind) => sidecarPath(photo, kind, fullNames))
    ),
  );
  const line = progress(io, "caption", photos.length);
  const read = (photo: string | undefined) => {
    const pending = photo === undefined ? undefined : readHashed(photo, io);
    pending?.catch(() => {}); // whoever awaits it gets it
    return pending;
  };
  let next = read(photos[0]);
  for (const [i, photo] of photos.entries()) {
    const pending = next!;
    next = read(photos[i + 1]);
    io.signal.throwIfAborted();
    let became: keyof Tally = "failed";
    try {
      const twin = alone?.get(photo);
      if (twin !== undefined) throw clashError(photo, twin);
      became = await captionFile(photo, await pending, keeping);
    } catch (error) {
      if (io.signal.aborted || error instanceof PipeClosed) throw error;
      if (error instanceof JournalFailed) throw error.cause;
      const text = sentence(error, `caption ${JSON.stringify(photo)}`);
      if (keeping.json) io.out(`${JSON.stringify({ photo, error: text })}\n`);
      io.err(text);
    }
    tally[became]++;
    // What was kept took no time, and says nothing of the time that is left.
    if (became !== "kept") line.at(i + 1, photo);
  }
  line.end();
  return tally;
}

/** The journal cannot be written, so no further caption can be kept. */
class JournalFailed extends Error {}

async function captionFile(
  photo: string,
  { bytes, sha256 }: Read,
  keeping: CaptionFilesOptions,
): Promise<keyof Tally> {
  const { journal, io } = keeping;
  const last = journal.last(photo), same = journal.same(sha256);
  const noted = last?.sha256 === sha256 && journal.current(last);
  const known = noted ? last : same;
  const sidecars = keeping.kinds.map((kind) => {
    const path = sidecarPath(photo, kind, keeping.fullNames);
    const stands = standing(path, kind, known, last, keeping.overwrite);
    return { kind, path, stands };
  });
  const todo = sidecars.filter((s) => s.stands === "write");
  const settled = todo.length === 0 && sidecars.length > 0;
  if (settled && (noted || sidecars.every((s) => s.stands === "keep"))) {
    return "kept";
  }
  if (noted && sidecars.length === 0) return "kept";
  let answer: Result | undefined;
  let caption = known?.caption;
  if (caption === undefined) {
    answer = await keeping.caption(bytes, photo);
    io.signal.throwIfAborted(); // a caption that was cut short is none
    caption = answer.text.trim();
  }
  const entry = noted ? last : noteDown(journal, photo, sha256, caption);
  for (const { path, kind } of todo) writeSidecar(path, kind, entry);
  io.out(
    keeping.json
      ? `${JSON.stringify({ ...told(photo, entry, answer) })}\n`
      : `${field(photo)}\t${printable(caption).replaceAll(/[\n\t]+/g, " ")}\n`,
  );
  return answer ? "made" : "reused";
}

function noteDown(
  journal: CaptionJournal,
  photo: string,
  sha256: string,
  caption: string,
): Entry {
  try {
    return journal.add(photo, sha256, caption);
  } catch (cause) {
    throw new JournalFailed("the journal cannot be written", { cause });
  }
}

function told(photo: string, { caption, sha256 }: Entry, answer?: Result) {
  if (!answer) return { photo, caption, sha256 };
  const { tokens: { length: tokens }, finish, timings } = answer;
  return { photo, caption, sha256, tokens, finish, timings };
}

async function readHashed(photo: string, io: Io): Promise<Read> {
  const bytes = await readPhotoBytes(photo, io.signal);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { bytes, sha256 };
}

/** The counts as a line of text. */
export function tallyText(tally: Tally, seconds: number): string {
  const { made, reused, kept, failed } = tally;
  const parts = [`${made} captioned`];
  if (reused > 0) parts.push(`${reused} taken from the journal`);
  if (kept > 0) parts.push(`${kept} kept`);
  if (failed > 0) parts.push(`${failed} failed`);
  return `${parts.join(", ")} in ${duration(seconds)}`;
}

/** Exit code of a run. */
export function tallyCode({ failed, ...good }: Tally): number {
  if (failed === 0) return EXIT.ok;
  return Object.values(good).some((n) => n > 0) ? EXIT.partial : EXIT.failure;
}
