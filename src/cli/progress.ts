/**
 * One line of progress on a terminal: what, how far, how long yet.
 * @module
 */
import type { Io } from "./io.ts";

/** Seconds in words: `48 s`, `3 min 05 s`, `2 h 10 min`. */
export function duration(seconds: number): string {
  const s = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${two(Math.floor(s % 3600 / 60))} min`;
}

/** A work of known length. */
export interface Progress {
  /** `done` of the total are done. */
  at(done: number, what?: string): void;
  /** Clears the line; returns the seconds it took. */
  end(): number;
}

/** Starts a line for a work of `total` steps. */
export function progress(io: Io, label: string, total: number): Progress {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  let shown = -Infinity;
  const show = (done: number, what: string) => {
    const now = seconds();
    if (now - shown < 0.1 && done < total) return;
    shown = now;
    const left = done > 0 ? now / done * (total - done) : NaN;
    const eta = Number.isFinite(left) && now > 1
      ? `, ${duration(left)} left`
      : "";
    io.status(
      `${label} ${done}/${total}${what && ` ${what}`}${eta}`,
    );
  };
  show(0, "");
  return {
    at: (done, what = "") => show(done, what),
    end() {
      io.status("");
      return seconds();
    },
  };
}
