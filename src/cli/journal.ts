/**
 * Captions made so far, so that a long evaluation can be taken up again. A line
 * counts only under the key of its run: another model or prompt has another
 * key.
 * @module
 */
import { openJsonLines } from "./json_lines.ts";

/** Captions by photo. */
export interface Journal extends Disposable {
  /** The caption of `photo` in this run, where there is one. */
  get(photo: string): string | undefined;
  /** Adds one, on disk before it returns. */
  add(photo: string, caption: string): void;
}

/** Opens the journal at `path` for the run `key`; in memory alone without a path. */
export function openJournal(path: string | undefined, key: string): Journal {
  const known = new Map<string, string>();
  const lines = path === undefined ? undefined : openJsonLines(path);
  for (const entry of lines?.before ?? []) {
    if (entry.key === key) known.set(`${entry.photo}`, `${entry.caption}`);
  }
  return {
    get: (photo) => known.get(photo),
    add(photo, caption) {
      known.set(photo, caption);
      lines?.add({ key, photo, caption });
    },
    [Symbol.dispose]: () => lines?.[Symbol.dispose](),
  };
}
