/**
 * The log of a server: a queue of lines to write. If the output stalls, is
 * closed or is full, no answer waits and nothing is thrown; lines that do not
 * fit are counted.
 * @module
 */
import { message } from "./io.ts";

/** A log. */
export interface ServeLog {
  /** Appends a line. */
  line(text: string): void;
  /** Lines that could not be written. */
  readonly lost: number;
  /** Waits until all lines are written, at most `ms`. */
  flush(ms: number): Promise<void>;
}

/** Maximum queued lines, and characters per line. */
export const LOG_LIMITS = { lines: 1000, length: 2000 } as const;

/**
 * Creates a log.
 * @param write may fail, never return, or write only a part
 */
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
