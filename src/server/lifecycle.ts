/**
 * Shutdown in two steps: the server first accepts no more requests and finishes
 * the running ones (draining); if that takes too long, it ends them (cut).
 * @module
 */

/** The two signals of a shutdown. */
export interface Lifecycle {
  /** Aborted when the server stops accepting requests. */
  readonly draining: AbortSignal;
  /** Aborted when running requests must end. */
  readonly cut: AbortSignal;
  /** To be called when all requests are answered while draining. */
  settled(): void;
}

/** A lifecycle and the handle that ends it. */
export interface Ending extends Lifecycle {
  /** Starts draining; cuts after `ms` unless `settled()` is called first. */
  drain(ms: number): void;
}

/** A lifecycle that is ended with `drain`. */
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
 * which have their own server. Deno Deploy kills the process 5 s after SIGINT,
 * so running answers are cut after 4 s and every client gets a complete answer
 * or a complete error. Then `session` is disposed, so that its threads do not
 * keep the process alive.
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
