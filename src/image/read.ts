/**
 * Bytes of pictures from files and streams, within the size limit of a picture.
 * @module
 */
import { IMAGE_LIMITS, ImageError } from "./image.ts";

/**
 * All bytes of a stream.
 * @param name what the stream is, for errors
 * @throws {ImageError} "too_large" beyond `IMAGE_LIMITS.fileBytes`
 */
export async function readStream(
  stream: AsyncIterable<Uint8Array>,
  name: string,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of stream) {
    signal?.throwIfAborted();
    size += part.length;
    if (size > IMAGE_LIMITS.fileBytes) throw tooLarge(name);
    parts.push(part);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) all.set(part, at), at += part.length;
  return all;
}

/**
 * All bytes of a file; needs `--allow-read` of it.
 * @throws {ImageError} "unsupported" where it is no regular file, "too_large" beyond `IMAGE_LIMITS.fileBytes`
 */
export async function readFile(
  path: string | URL,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const { size, isFile, isDirectory } = await Deno.stat(path);
  const name = String(path);
  if (isDirectory) {
    throw new ImageError(
      "unsupported",
      `Cannot read ${
        JSON.stringify(name)
      }: it is a folder; give the photos in it, such as ${
        name.replace(/\/+$/, "")
      }/*.jpg`,
    );
  }
  if (!isFile) {
    throw new ImageError(
      "unsupported",
      `Cannot read ${
        JSON.stringify(name)
      }: it is not a regular file; give a photo`,
    );
  }
  if (size > IMAGE_LIMITS.fileBytes) throw tooLarge(name, size);
  return await Deno.readFile(path, signal ? { signal } : {});
}

/** The error of a picture of too many bytes. */
function tooLarge(name: string, size?: number): ImageError {
  const most = IMAGE_LIMITS.fileBytes;
  return new ImageError(
    "too_large",
    `Cannot read ${shortened(name)}: it has ${
      size ?? `over ${most}`
    } bytes, at most ${most} are allowed; save it smaller`,
  );
}

/** A name in a message: the beginning of a `data:` URL is enough. */
export function shortened(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 77)}...` : name);
}
