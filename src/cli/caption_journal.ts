/**
 * The journal of a folder's captions: which photo got which caption, from which
 * model, for which question. A caption is known again only where the content of
 * the photo, the model and the question are the same; the name may change.
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
  /** What was said of it. */
  readonly caption: string;
  /** SHA-256 of the photo's bytes. */
  readonly sha256: string;
  /** SHA-256 of the model. */
  readonly model: string;
  /** SHA-256 of the prompt and of all that bears on the answer. */
  readonly ask: string;
}

/** What a caption comes from, beside the photo. */
export type Origin = Pick<Entry, "model" | "ask">;

/** An open journal. */
export interface CaptionJournal extends Disposable {
  /** The last entry of the photo at `path`, whatever its content was. */
  last(path: string): Entry | undefined;
  /** The entry of a photo of this content under any name. */
  same(sha256: string): Entry | undefined;
  /** Adds a caption of the photo at `path`, on disk before it returns. */
  add(path: string, sha256: string, caption: string): Entry;
  /** Whether `entry` comes from the model and question of this run. */
  current(entry: Entry): boolean;
}

/**
 * Opens the journal at `path` for captions from `origin`.
 * @param options `trust`: a journal of another folder becomes ours
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

/** An entry alone, without what else its line says. */
function entryOf({ photo, caption, sha256, model, ask }: Entry): Entry {
  return { photo, caption, sha256, model, ask };
}

/** SHA-256 of a text. */
export function sha256Of(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/**
 * SHA-256 that names a model: of its metadata, which hold the SHA-256 of every
 * tensor. A file without those is refused: it could change unnoticed.
 */
export function modelHash(path: string): string {
  using file = openModelFile(fileSource(path));
  file.meta("sha256");
  return sha256Of(JSON.stringify([...file.metadata]));
}
