/**
 * The caption journal of a folder: one entry per caption with the photo, the
 * model and the prompt. A caption is reused only if the content of the photo,
 * the model and the prompt are equal; the file name may differ.
 * @module
 */
import { createHash } from "node:crypto";
import { dirname, relative, resolve } from "@std/path";
import { openModelFile } from "../format/model_file.ts";
import { fileSource } from "../format/source.ts";
import { type JsonLines, openJsonLines } from "./json_lines.ts";

/** One line of the journal. */
export interface Entry {
  /** Path of the photo from the journal's folder, with `/`. */
  readonly photo: string;
  /** Its caption. */
  readonly caption: string;
  /** SHA-256 of the photo's bytes. */
  readonly sha256: string;
  /** SHA-256 of the model. */
  readonly model: string;
  /** SHA-256 of the prompt and all options that affect the answer. */
  readonly ask: string;
}

/** Model and prompt of a caption. */
export type Origin = Pick<Entry, "model" | "ask">;

/** An open journal. */
export interface CaptionJournal extends Disposable {
  /** The last entry of the photo at `path`, for any content. */
  last(path: string): Entry | undefined;
  /** The entry of a photo with this content, under any name. */
  same(sha256: string): Entry | undefined;
  /** Appends a caption of the photo at `path`; synced to disk when it returns. */
  add(path: string, sha256: string, caption: string): Entry;
  /** Whether `entry` has the model and the prompt of this run. */
  current(entry: Entry): boolean;
}

/**
 * Opens the journal at `path` for captions from `origin`.
 * @param options `trust`: accept a journal of another folder
 */
export function openCaptionJournal(
  path: string,
  origin: Origin,
  options: { readonly trust?: boolean } = {},
): CaptionJournal {
  const folder = dirname(resolve(path));
  const lines: JsonLines = openJsonLines(path, options);
  const byPhoto = new Map<string, Entry>(),
    byContent = new Map<string, Entry>();
  const nameOf = (photo: string) =>
    relative(folder, resolve(photo)).replaceAll("\\", "/");
  const current = ({ model, ask }: Entry) =>
    model === origin.model && ask === origin.ask;
  const note = (entry: Entry) => {
    byPhoto.set(entry.photo, entry);
    if (current(entry)) byContent.set(entry.sha256, entry);
  };
  for (const line of lines.before) if (isEntry(line)) note(entryOf(line));
  return {
    current,
    last: (photo) => byPhoto.get(nameOf(photo)),
    same: (sha256) => byContent.get(sha256),
    add(photo, sha256, caption) {
      const entry = { photo: nameOf(photo), caption, sha256, ...origin };
      lines.add(entry);
      note(entry);
      return entry;
    },
    [Symbol.dispose]: () => lines[Symbol.dispose](),
  };
}

const FIELDS = ["photo", "caption", "sha256", "model", "ask"] as const;

function isEntry(line: unknown): line is Entry {
  const fields = line as Record<keyof Entry, unknown>;
  return FIELDS.every((key) => typeof fields[key] === "string");
}

/** The fields of an entry, without others on its line. */
function entryOf({ photo, caption, sha256, model, ask }: Entry): Entry {
  return { photo, caption, sha256, model, ask };
}

/** SHA-256 of a text. */
export function sha256Of(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/**
 * SHA-256 that identifies a model: of its metadata, which contain the SHA-256
 * of every tensor. A file without checksums is refused, because it could change
 * unnoticed.
 */
export function modelHash(path: string): string {
  using file = openModelFile(fileSource(path));
  file.meta("sha256");
  return sha256Of(JSON.stringify([...file.metadata]));
}
