/**
 * Reading a photo from a path or from stdin, within limits.
 * @module
 */
import { type Image, IMAGE_LIMITS } from "../image/image.ts";
import type { Decoding } from "./decoding.ts";

const MOST_PHOTO_BYTES = IMAGE_LIMITS.fileBytes;

/** The photo at `path`; `-` is stdin. Errors name the path. */
export async function readPhoto(
  path: string,
  { decode }: Decoding,
  signal: AbortSignal,
): Promise<Image> {
  return await decode(await readPhotoBytes(path, signal), path, signal);
}

/** The bytes of the photo at `path`, not decoded; `-` is stdin. */
export async function readPhotoBytes(
  path: string,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = (bytes: string) =>
    new RangeError(
      `Cannot caption ${
        JSON.stringify(path)
      }: it has ${bytes} bytes, at most ${MOST_PHOTO_BYTES} are allowed; save it smaller`,
    );
  if (path === "-") {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of Deno.stdin.readable) {
      signal.throwIfAborted();
      parts.push(part);
      size += part.length;
      if (size > MOST_PHOTO_BYTES) throw tooLarge(`over ${MOST_PHOTO_BYTES}`);
    }
    const all = new Uint8Array(size);
    let at = 0;
    for (const part of parts) all.set(part, at), at += part.length;
    return all;
  }
  const stat = await Deno.stat(path);
  if (stat.isDirectory) {
    throw new RangeError(
      `Cannot caption ${
        JSON.stringify(path)
      }: it is a folder; give the photos in it, such as ${
        path.replace(/\/+$/, "")
      }/*.jpg`,
    );
  }
  if (!stat.isFile) {
    throw new RangeError(
      `Cannot caption ${
        JSON.stringify(path)
      }: it is not a regular file; give a photo, or - and pipe it in`,
    );
  }
  if (stat.size > MOST_PHOTO_BYTES) throw tooLarge(String(stat.size));
  return await Deno.readFile(path, { signal });
}
