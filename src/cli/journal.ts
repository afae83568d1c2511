/**
 * A journal of results, so that a long evaluation can be resumed. A line is
 * valid only for its run key (model, prompt).
 * @module
 */
import { openJsonLines } from "./json_lines.ts";

/** Results by item. */
export interface Journal<T> extends Disposable {
  /** The result of `item` in this run, if there is one. */
  get(item: string): T | undefined;
  /** Appends a result; synced to disk when it returns. */
  add(item: string, result: T): void;
}

/**
 * Opens the journal at `path` for the run `key`; without a path it is kept in
 * memory.
 */
export function openJournal<T>(
  path: string | undefined,
  key: string,
): Journal<T> {
  const known = new Map<string, T>();
  const lines = path === undefined ? undefined : openJsonLines(path);
  for (const entry of lines?.before ?? []) {
    if (entry.key === key && typeof entry.item === "string") {
      known.set(entry.item, entry.result as T);
    }
  }
  return {
    get: (item) => known.get(item),
    add(item, result) {
      known.set(item, result);
      lines?.add({ key, item, result });
    },
    [Symbol.dispose]: () => lines?.[Symbol.dispose](),
  };
}
