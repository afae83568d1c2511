/**
 * A file of JSON objects, one a line, that only grows: what was done so far, for
 * whoever takes it up again. Each line is one write, so a crash tears the last
 * line at most; a torn line is passed over.
 * @module
 */
import { writeAll } from "../format/atomic_write.ts";

/** An open file of JSON lines. */
export interface JsonLines extends Disposable {
  /** Objects that were there when it was opened. */
  readonly before: readonly Record<string, unknown>[];
  /** Adds one, on disk before it returns. */
  add(value: Record<string, unknown>): void;
}

/**
 * Opens or makes the file at `path`, for this process alone.
 * Needs `--allow-read --allow-write` of it.
 */
export function openJsonLines(path: string): JsonLines {
  const file = Deno.openSync(path, { read: true, append: true, create: true });
  try {
    if (!file.tryLockSync(true)) {
      throw new Error(
        `Cannot write ${
          JSON.stringify(path)
        }: another run writes it; wait for that, or stop it`,
      );
    }
    const text = Deno.readTextFileSync(path);
    let torn = text !== "" && !text.endsWith("\n");
    return {
      before: text.split("\n").flatMap(parsed),
      add(value) {
        const line = `${torn ? "\n" : ""}${JSON.stringify(value)}\n`;
        torn = true; // until it is whole
        writeAll(file, new TextEncoder().encode(line));
        file.syncDataSync();
        torn = false;
      },
      [Symbol.dispose]: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

function parsed(line: string): Record<string, unknown>[] {
  try {
    const value = JSON.parse(line);
    return typeof value === "object" && value !== null ? [value] : [];
  } catch {
    return []; // an empty line, or one that a crash cut short
  }
}
