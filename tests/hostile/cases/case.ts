/**
 * A file made to harm.
 * @module
 */

/** Expected `code` of the error (its name where it has none), what is wrong, the file. */
export type Case = readonly [code: string, what: string, bytes: Uint8Array];

/** Text as bytes. */
export const bytesOf = (text: string): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(text);

/** JSON as bytes. */
export const jsonOf = (value: unknown): Uint8Array<ArrayBuffer> =>
  bytesOf(JSON.stringify(value));
