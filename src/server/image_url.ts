/**
 * Decodes `image_url` parts. Only data: URIs are accepted: the server fetches
 * no address and opens no file for clients.
 * @module
 */
import { ApiError, shown } from "./error.ts";

const HEAD =
  /^data:(image\/[a-z0-9.+-]{1,40})?((?:;[a-z0-9=._-]{1,40})*);base64,/i;

/**
 * Decodes a data: URI. The image format is detected later, from the bytes.
 * @param param name of the field in errors
 */
export function imageBytes(
  url: unknown,
  param: string,
): Uint8Array<ArrayBuffer> {
  if (typeof url !== "string") {
    throw new ApiError(
      "invalid_type",
      `Cannot read the image: ${param} must be a string with a data: URI: it is ${
        shown(url)
      }`,
      param,
    );
  }
  if (!/^data:/i.test(url)) {
    throw new ApiError(
      "remote_image_refused",
      `Cannot load the image from ${
        shown(url)
      }: this server does not fetch addresses; send the image itself as data:image/jpeg;base64,…`,
      param,
    );
  }
  const head = HEAD.exec(url.slice(0, 200));
  let bytes: Uint8Array<ArrayBuffer> | undefined;
  if (head) {
    try {
      bytes = Uint8Array.fromBase64(url.slice(head[0].length));
    } catch {
      // said below
    }
  }
  if (!bytes || bytes.length === 0) {
    throw new ApiError(
      "invalid_image",
      `Cannot read the image: ${param} must be data:image/TYPE;base64, and the base64 of a JPEG, PNG or WebP: it is ${
        shown(url)
      }`,
      param,
    );
  }
  return bytes;
}
