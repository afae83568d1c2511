/**
 * Stop strings in streamed text. Text that may be the beginning of a stop string is
 * held back until the next tokens decide.
 * @module
 */

/** Passes text through until a stop string appears. */
export interface StopScanner {
  /** Text that can be shown now. */
  push(piece: string): string;
  /** The text held back, at the end of generation. */
  end(): string;
  /** Whether a stop string appeared. */
  readonly stopped: boolean;
}

/** A scanner for the given strings. */
export function stopScanner(stops: readonly string[]): StopScanner {
  let held = "", stopped = false;
  return {
    get stopped() {
      return stopped;
    },
    push(piece) {
      if (stopped) return "";
      held += piece;
      const found = stops.map((s) => held.indexOf(s)).filter((i) => i >= 0);
      if (found.length > 0) {
        stopped = true;
        return held.slice(0, Math.min(...found));
      }
      const keep = Math.max(0, ...stops.map((s) => overlap(held, s)));
      const out = held.slice(0, held.length - keep);
      held = held.slice(held.length - keep);
      return out;
    },
    end: () => stopped ? "" : held,
  };
}

/** Length of the longest suffix of `text` that is a prefix of `stop`. */
function overlap(text: string, stop: string): number {
  for (let n = Math.min(text.length, stop.length - 1); n > 0; n--) {
    if (text.endsWith(stop.slice(0, n))) return n;
  }
  return 0;
}
