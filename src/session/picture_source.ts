/**
 * From what a caller calls an image to its bytes or pixels: a path or an
 * address is read here, within the limits of a picture.
 * @module
 */
import { IMAGE_LIMITS, ImageError } from "../image/image.ts";
import { inDeno } from "../platform/platform.ts";
import type { ImageInput, Picture } from "./picture.ts";

/**
 * The bytes or pixels of an image. A path or `file:` URL needs `--allow-read`
 * of it, an `http:` or `https:` URL `--allow-net` of its host; `data:` and
 * `blob:` URLs need nothing.
 * @throws {ImageError} where it is too large or the address answers with an error
 */
export async function pictureOf(
  image: ImageInput,
  signal: AbortSignal | undefined,
): Promise<Picture> {
  if (typeof image !== "string" && !(image instanceof URL)) return image;
  const text = String(image);
  const isAddress = image instanceof URL ||
    /^(data|blob|https?|file):/i.test(text);
  if (isAddress && !/^file:/i.test(text)) return await fetched(text, signal);
  if (!inDeno) {
    throw new ImageError(
      "unsupported",
      `Cannot read ${
        shown(text)
      }: there are no paths in a browser; give its bytes or an address`,
    );
  }
  return await readFile(isAddress ? new URL(text) : text, signal);
}

async function readFile(
  path: string | URL,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { size, isFile } = await Deno.stat(path);
  if (!isFile) {
    throw new ImageError(
      "unsupported",
      `Cannot read ${
        shown(String(path))
      }: it is not a regular file; give a JPEG, PNG or WebP`,
    );
  }
  if (size > IMAGE_LIMITS.fileBytes) throw tooLarge(String(path));
  return await Deno.readFile(path, signal ? { signal } : {});
}

async function fetched(
  address: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const answer = await fetch(address, signal ? { signal } : {});
  if (!answer.ok || !answer.body) {
    await answer.body?.cancel();
    throw new ImageError(
      "unsupported",
      `Cannot read ${
        shown(address)
      }: it answered ${answer.status}; check the address`,
    );
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of answer.body) {
    size += part.length;
    if (size > IMAGE_LIMITS.fileBytes) throw tooLarge(address);
    parts.push(part);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) all.set(part, at), at += part.length;
  return all;
}

/** An address in a message: the beginning of a `data:` URL is enough. */
function shown(address: string): string {
  return JSON.stringify(
    address.length > 80 ? `${address.slice(0, 77)}...` : address,
  );
}

function tooLarge(address: string): ImageError {
  return new ImageError(
    "too_large",
    `Cannot read ${
      shown(address)
    }: at most ${IMAGE_LIMITS.fileBytes} bytes are allowed; make it smaller first`,
  );
}
