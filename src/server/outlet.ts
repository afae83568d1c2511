/**
 * The body of an answer that is still being generated. Its reader may leave at
 * any time, also during a write; then writes have no effect and nothing is
 * thrown. A slow reader does not block the model: unread bytes are buffered, up
 * to a limit.
 * @module
 */

/** The writing end of a body. */
export interface Outlet {
  /** Appends text. */
  write(text: string): void;
  /** Ends the body. */
  end(): void;
  /** Aborts the body. */
  fail(error: unknown): void;
}

/** The unread bytes of all bodies of a server. */
export interface Backlog {
  /** Current number of bytes. */
  readonly bytes: number;
  /**
   * Adds `bytes` (may be negative) for a body; beyond the limit, the body with
   * the most unread bytes is dropped.
   */
  count(body: Dropped, bytes: number): void;
}

/** A body that can be dropped. */
interface Dropped {
  drop(): void;
}

/** A backlog with a limit in bytes. */
export function backlog(most: number): Backlog {
  const bodies = new Map<Dropped, number>();
  let total = 0;
  return {
    get bytes() {
      return total;
    },
    count(body, bytes) {
      total += bytes;
      const own = (bodies.get(body) ?? 0) + bytes;
      if (own > 0) bodies.set(body, own);
      else bodies.delete(body);
      while (total > most && bodies.size > 0) {
        const [largest] = [...bodies].reduce((a, b) => b[1] > a[1] ? b : a);
        largest.drop();
      }
    },
  };
}

/**
 * Creates a body that `make` writes.
 * @param left is called when the reader leaves early or is too slow
 */
export function outlet(
  make: (out: Outlet) => void,
  left: () => void,
  untaken: Backlog = backlog(Infinity),
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let open = true, wake = () => {};
  let failure: { readonly error: unknown } | undefined;
  /** Stops writing. */
  const close = () => {
    open = false;
    wake();
  };
  const forget = () => {
    const bytes = pieces.splice(0).reduce((n, piece) => n + piece.length, 0);
    untaken.count(body, -bytes);
  };
  const body: Dropped = {
    drop() {
      failure = { error: new Error("its reader is too slow") };
      forget();
      close();
      left();
    },
  };
  const out: Outlet = {
    write(text) {
      if (!open) return;
      const piece = encoder.encode(text);
      pieces.push(piece);
      untaken.count(body, piece.length);
      wake();
    },
    end: close,
    fail(error) {
      if (!open) return;
      failure = { error };
      forget();
      close();
    },
  };
  return new ReadableStream({
    start: () => make(out),
    async pull(controller) {
      while (pieces.length === 0 && open) {
        await new Promise<void>((go) => wake = go);
      }
      if (failure) return controller.error(failure.error);
      const piece = pieces.shift();
      if (!piece) return controller.close();
      untaken.count(body, -piece.length);
      try {
        controller.enqueue(piece);
      } catch { /* its reader left in this moment */ }
    },
    cancel() {
      close();
      forget();
      left();
    },
  }, { highWaterMark: 0 });
}
