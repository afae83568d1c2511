/**
 * The thread of `quantize()`.
 * @module
 */
import { packError } from "../graph/thread_error.ts";
import type { FromWorker, ToWorker } from "./options.ts";
import { produce } from "./produce.ts";

/** The global scope of a worker, which the library types do not include. */
interface Scope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker): void;
}
const scope = globalThis as unknown as Scope;

scope.onmessage = async ({ data: { order, stop } }) => {
  try {
    const result = await produce(order, {
      report: (progress) => scope.postMessage({ progress }),
      throwIfStopped() {
        if (Atomics.load(stop, 0) === 0) return;
        throw new DOMException("Quantizing was stopped", "AbortError");
      },
    });
    scope.postMessage({ result });
  } catch (error) {
    scope.postMessage({ error: packError(error) });
  }
};
