/**
 * Results so far, so that a long evaluation can be taken up again. A line counts
 * only under the key of its run: another model or prompt has another key.
 * @module
 */
import { openJsonLines } from "./json_lines.ts";

/** Results by item. */
export interface Journal<T> extends Disposable {
  /** The result of `item` in this run, where there is one. */
  get(item: string): T | undefined;
  /** Adds one, on disk before it returns. */
  add(item: string, result: T): void;
}

/** Opens the journal at `path` for the run `key`; in memory alone without a path. */
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
