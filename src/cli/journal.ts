/**
 * Captions made so far, a JSON line each, so that a long evaluation can be
 * taken up again. A line counts only under the key of its run: another model or
 * prompt has another key.
 * @module
 */

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
  if (path === undefined) {
    return {
      get: (photo) => known.get(photo),
      add: (photo, caption) => void known.set(photo, caption),
      [Symbol.dispose]() {},
    };
  }
  const file = Deno.openSync(path, { read: true, append: true, create: true });
  for (const line of Deno.readTextFileSync(path).split("\n")) {
    try {
      const entry = JSON.parse(line);
      if (entry.key === key) known.set(entry.photo, entry.caption);
    } catch { /* an empty line, or one that a crash cut short */ }
  }
  return {
    get: (photo) => known.get(photo),
    add(photo, caption) {
      known.set(photo, caption);
      // A newline first: it ends a line that a crash cut short.
      const line = `\n${JSON.stringify({ key, photo, caption })}`;
      const bytes = new TextEncoder().encode(line);
      for (let at = 0; at < bytes.length;) {
        at += file.writeSync(bytes.subarray(at));
      }
    },
    [Symbol.dispose]: () => file.close(),
  };
}
