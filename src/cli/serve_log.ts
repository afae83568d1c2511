/**
 * The log of a server: lines that wait for their turn to be written. Whatever
 * becomes of where they go (a reader that stalls or has gone, a full disk), no
 * answer waits for it and nothing is thrown; lines that find no room are counted.
 * @module
 */
import { message } from "./io.ts";

/** A log. */
export interface ServeLog {
  /** Adds a line. */
  line(text: string): void;
  /** Lines that could not be written. */
  readonly lost: number;
  /** Waits until all lines are written, for `ms` at most. */
  flush(ms: number): Promise<void>;
}

/** Lines that may wait, and characters of one. */
export const LOG_LIMITS = { lines: 1000, length: 2000 } as const;

/** A log that is written by `write`, which may fail, wait for ever, or write less than it was given. */
export function serveLog(
  write: (bytes: Uint8Array) => Promise<number>,
): ServeLog {
  const waiting: string[] = [], encoder = new TextEncoder();
  let lost = 0, told = 0;
  let writing: Promise<void> | undefined;

  async function writeAll() {
    while (waiting.length > 0) {
      const lines = waiting.splice(0, 100), before = lost;
      const note = before > told
        ? [`(${before - told} lines of this log were lost)`]
        : [];
      const text = [...lines, ...note].map((line) => `${line}\n`).join("");
      const bytes = encoder.encode(text);
      try {
        for (let at = 0; at < bytes.length;) {
          at += await write(bytes.subarray(at));
        }
        told = before;
      } catch {
        lost += lines.length;
      }
    }
  }

  return {
    line(text) {
      if (waiting.length >= LOG_LIMITS.lines) {
        lost++;
        return;
      }
      const { length } = LOG_LIMITS;
      waiting.push(message(
        text.length > length ? `${text.slice(0, length)} …` : text,
      ));
      writing ??= writeAll().finally(() => writing = undefined);
    },
    get lost() {
      return lost;
    },
    async flush(ms) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((done) => timer = setTimeout(done, ms));
      await Promise.race([writing, late]);
      clearTimeout(timer);
    },
  };
}
