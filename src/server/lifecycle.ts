/**
 * How a server ends: first it takes no more requests and finishes those it has
 * (draining), then, where that takes too long, it ends them (cut).
 * @module
 */

/** The two moments of an end. */
export interface Lifecycle {
  /** Aborted when no more requests are taken. */
  readonly draining: AbortSignal;
  /** Aborted when what still runs must end. */
  readonly cut: AbortSignal;
}

/** A lifecycle and the handle that ends it. */
export interface Ending extends Lifecycle {
  /** Begins to drain; cuts `ms` later unless `settled()` comes first. */
  drain(ms: number): void;
  /** All is answered: nothing is left to cut. */
  settled(): void;
}

/** A lifecycle that `drain` ends. */
export function ending(): Ending {
  const draining = new AbortController(), cut = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    draining: draining.signal,
    cut: cut.signal,
    drain(ms) {
      if (draining.signal.aborted) return;
      draining.abort();
      timer = setTimeout(() => cut.abort(), ms);
    },
    settled: () => clearTimeout(timer),
  };
}

/**
 * A lifecycle that SIGINT or SIGTERM ends, for `deno serve` and Deno Deploy,
 * where the server is not ours: Deploy kills 5 s after SIGINT, so what runs is
 * cut after 4 s and every client gets a whole answer or a whole error.
 */
export function endOnSignals(drainMs = 4000): Lifecycle {
  const end = ending();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    const heard = () => {
      Deno.removeSignalListener(name, heard);
      end.drain(drainMs);
    };
    Deno.addSignalListener(name, heard);
  }
  return end;
}
