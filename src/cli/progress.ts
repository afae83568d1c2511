/**
 * A progress line on a terminal: label, progress, time left.
 * @module
 */
import type { Io } from "./io.ts";

/** A duration as text: `48 s`, `3 min 05 s`, `2 h 10 min`. */
export function duration(seconds: number): string {
  const s = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${two(Math.floor(s % 3600 / 60))} min`;
}

/** Progress of a task with known length. */
export interface Progress {
  /**
   * Reports that `done` of the total are finished.
   * @param share fraction of the work, 0 to 1
   */
  at(done: number, what?: string, share?: number): void;
  /** Clears the line; returns the elapsed seconds. */
  end(): number;
}

/** A bar of 20 characters, filled to `share` (0 to 1). */
function bar(share: number): string {
  const full = Math.floor(20 * Math.min(share, 1));
  return `[${"#".repeat(full)}${".".repeat(20 - full)}]`;
}

/** Starts a progress line for `total` steps. */
export function progress(io: Io, label: string, total: number): Progress {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  let shown = -Infinity;
  // The time left follows from what was done since the first report: what an
  // earlier run had done took none of ours.
  let first: { share: number; at: number } | undefined;
  const left = (share: number, now: number): string => {
    first ??= { share, at: now };
    const speed = (share - first.share) / (now - first.at);
    return speed > 0 && now > 1
      ? `, ${duration((1 - share) / speed)} left`
      : "";
  };
  io.status(`${label} 0/${total}`);
  return {
    at(done, what = "", share = done / total) {
      const now = seconds(), eta = left(share, now);
      if (now - shown < 0.1 && done < total) return;
      shown = now;
      io.status(
        `${label} ${bar(share)} ${done}/${total}${what && ` ${what}`}${eta}`,
      );
    },
    end() {
      io.status("");
      return seconds();
    },
  };
}
