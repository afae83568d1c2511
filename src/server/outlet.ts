/**
 * The body of an answer that is still being made. Its reader may leave at any
 * moment, in the midst of a write too: what is written then goes nowhere, and
 * nothing is thrown (in Deno 2.9 a stream can be closed within `enqueue`).
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

/** A body that `make` writes; `left` is called when its reader leaves before the end. */
export function outlet(
  make: (out: Outlet) => void,
  left: () => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  let open = true;
  return new ReadableStream({
    start(controller) {
      const attempt = (act: () => void) => {
        if (!open) return;
        try {
          act();
        } catch {
          open = false;
        }
      };
      const last = (act: () => void) => {
        attempt(act);
        open = false;
      };
      make({
        write: (text) =>
          attempt(() => controller.enqueue(encoder.encode(text))),
        end: () => last(() => controller.close()),
        fail: (error) => last(() => controller.error(error)),
      });
    },
    cancel() {
      open = false;
      left();
    },
  });
}
