/**
 * The thread of decoding.ts.
 * @module
 */
import { packError, type ThreadError } from "../graph/thread_error.ts";
import { decode } from "../image/decode.ts";
import type { Image } from "../image/image.ts";

/** A photo to decode. */
export interface ToDecode {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its name in messages. */
  readonly name: string;
}

/** Result of decoding a photo in the worker. */
export type Decoded = { readonly image: Image } | {
  readonly error: ThreadError;
};

/** The global scope of a worker, which the library types do not include. */
interface Scope {
  onmessage: ((event: MessageEvent<ToDecode>) => void) | null;
  postMessage(message: Decoded, transfer?: Transferable[]): void;
}
const scope = globalThis as unknown as Scope;

scope.onmessage = async ({ data: { bytes, name } }) => {
  try {
    const image = await decode(bytes, { name });
    scope.postMessage({ image }, [image.data.buffer]);
  } catch (error) {
    scope.postMessage({ error: packError(error) });
  }
};
