/**
 * Ctrl-C: the first asks the work to stop at its next step; the second ends the
 * process. A busy worker cannot be terminated from outside, so the work must
 * check the signal itself.
 * @module
 */
import { EXIT } from "./errors.ts";

/** Runs `work`; Ctrl-C aborts `controller`, a second Ctrl-C exits. */
export async function interruptible<T>(
  controller: AbortController,
  work: () => Promise<T>,
): Promise<T> {
  const onInterrupt = () => {
    if (controller.signal.aborted) Deno.exit(EXIT.interrupted);
    controller.abort(new DOMException("Interrupted by Ctrl-C", "AbortError"));
  };
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    return await work();
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
}
