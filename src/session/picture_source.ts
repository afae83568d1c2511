/**
 * Reads an image that is given by path or URL, within the size limit of a picture.
 * @module
 */
import { ImageError } from "../image/image.ts";
import { readFile, readStream, shortened } from "../image/read.ts";
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
        shortened(text)
      }: a browser has no file paths; give the bytes or an address`,
    );
  }
  return await readFile(isAddress ? new URL(text) : text, signal);
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
        shortened(address)
      }: it answered ${answer.status}; check the address`,
    );
  }
  return await readStream(answer.body, address, signal);
}
