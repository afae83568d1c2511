/**
 * The body of an answer that is still being made. Its reader may leave at any
 * moment, in the midst of a write too: what is written then goes nowhere, and
 * nothing is thrown. A slow reader does not hold up the model: what it has not
 * taken piles up, but not without end.
 * @module
 */

/** Where a body is written. */
export interface Outlet {
  /** Adds text. */
  write(text: string): void;
  /** Ends the body. */
  end(): void;
  /** Breaks the body off. */
  fail(error: unknown): void;
}

/** What no reader has taken yet, of all bodies of a server together. */
export interface Backlog {
  /** Bytes now. */
  readonly bytes: number;
  /** Counts `bytes` more, or fewer, of a body; where all are too many, the body with the most is dropped. */
  count(body: Dropped, bytes: number): void;
}

/** A body that can be dropped. */
interface Dropped {
  drop(): void;
}

/** A backlog of at most so many bytes. */
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

/** A body that `make` writes; `left` is called when its reader leaves before the end, or is too slow. */
export function outlet(
  make: (out: Outlet) => void,
  left: () => void,
  untaken: Backlog = backlog(Infinity),
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let open = true, wake = () => {};
  let failure: { readonly error: unknown } | undefined;
  /** Nothing more is written. */
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
