/**
 * Reads a photo from a path or from stdin, within limits.
 * @module
 */
import type { Image } from "../image/image.ts";
import { readFile, readStream } from "../image/read.ts";
import type { Decoding } from "./decoding.ts";

/** Reads and decodes the photo at `path`; `-` is stdin. Errors name the path. */
export async function readPhoto(
  path: string,
  { decode }: Decoding,
  signal: AbortSignal,
): Promise<Image> {
  return await decode(await readPhotoBytes(path, signal), path, signal);
}

/** Reads the bytes of the photo at `path`; `-` is stdin. */
export function readPhotoBytes(
  path: string,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  return path === "-"
    ? readStream(Deno.stdin.readable, "-", signal)
    : readFile(path, signal);
}
