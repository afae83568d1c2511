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
  /** Called when, draining, all has been answered. */
  settled(): void;
}

/** A lifecycle and the handle that ends it. */
export interface Ending extends Lifecycle {
  /** Begins to drain; cuts `ms` later unless `settled()` comes first. */
  drain(ms: number): void;
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
 * cut after 4 s and every client gets a whole answer or a whole error. Then
 * `session` is disposed, so that its threads do not keep the process.
 */
export function endOnSignals(
  session: AsyncDisposable | PromiseLike<AsyncDisposable>,
  drainMs = 4000,
): Lifecycle {
  const end = ending();
  const dispose = async () => {
    try {
      await (await session)[Symbol.asyncDispose]();
    } catch {
      // It was never opened; the handler has said so.
    }
    // `deno serve` before 2.9 does not end its server on signals; after the
    // last bytes have gone we do.
    Deno.unrefTimer(setTimeout(() => Deno.exit(0), 500));
  };
  end.cut.addEventListener("abort", dispose);
  const signals = ["SIGINT", "SIGTERM"] as const;
  const heard = () => {
    for (const name of signals) Deno.removeSignalListener(name, heard);
    end.drain(drainMs);
  };
  for (const name of signals) Deno.addSignalListener(name, heard);
  return {
    ...end,
    settled() {
      end.settled();
      dispose();
    },
  };
}
